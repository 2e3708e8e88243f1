"""Labels that are likely wrong: where scores of models that have not seen a row contradict what it says.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"),
as cleanlab does it: each label of a multi-label target by itself, a single-label target as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.data.checks.findings import Finding, Severity, finding_at
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, labels
from modwright.errors import MissingExtraError, UsageError
from modwright.schema import BoolArray, FloatArray, IntArray, Target, TargetKind

#: Fewer rows with the label, or without, tell nothing about mistakes.
MIN_EACH = 5
_ROW_SUM_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Likely label errors.

    Attributes:
        findings: one per label that has some.
        rows: the least believable first; columns id, source, target, label (as given; of a multi-label target the one in
            doubt), given (its value), predicted (its score out of fold), likely (the label that the scores say; of a
            multi-label target the label, or `not` and the label).
    """

    findings: list[Finding]
    rows: pl.DataFrame


def label_errors(dataset: Dataset, split: str, scores: Mapping[str, FloatArray]) -> LabelErrors:
    """Find labels of a split that are likely wrong.

    Args:
        dataset: what is looked at.
        split: whose rows were scored.
        scores: target to (N, L) calibrated scores, each by a model that has not seen the row.

    Raises:
        UsageError: scores of another shape than the labels.
        MissingExtraError: cleanlab is not installed.
    """
    frame = dataset.split(split)
    parts = []
    for target in dataset.schema.targets:
        given = labels(frame, target)
        found = np.asarray(scores[target.name], dtype=np.float64)
        if found.shape != given.shape:
            raise UsageError(f"scores of '{target.name}' have shape {found.shape}, expected {given.shape}")
        single = target.kind is TargetKind.SINGLE_LABEL
        doubts = _single if single else _multi
        parts += doubts(frame, target, given, found, dataset.schema.positive_above)
    rows = pl.concat(parts) if parts else pl.DataFrame(schema=_COLUMNS)
    rows = rows.sort("doubt", descending=True, maintain_order=True)
    return LabelErrors(_findings(rows, split), rows.drop("doubt"))


_COLUMNS: dict[str, Any] = {
    "id": pl.String,
    "source": pl.String,
    "target": pl.String,
    "label": pl.String,
    "given": pl.Float64,
    "predicted": pl.Float64,
    "likely": pl.String,
    "doubt": pl.Float64,
}
#: Of the list of label errors.
LIST_COLUMNS = tuple(name for name in _COLUMNS if name != "doubt")


def _multi(
    frame: pl.DataFrame, target: Target, given: FloatArray, scores: FloatArray, above: float
) -> list[pl.DataFrame]:
    parts = []
    for place, label in enumerate(target.labels):
        known = np.flatnonzero(~np.isnan(given[:, place]))
        holds = (given[known, place] > above).astype(np.int64)
        if min(int(holds.sum()), int((1 - holds).sum())) < MIN_EACH:
            continue
        score = scores[known, place]
        wrong = _issues(holds, np.stack([1 - score, score], axis=1))
        rows = known[wrong]
        likely = [f"not {label}" if value else label for value in holds[wrong].tolist()]
        parts.append(
            _table(frame, target, rows, [label] * len(rows), given[rows, place], score[wrong], likely)
        )
    return parts


def _single(
    frame: pl.DataFrame, target: Target, given: FloatArray, scores: FloatArray, above: float
) -> list[pl.DataFrame]:
    known = np.flatnonzero(~np.isnan(given).any(axis=1))
    own = given[known].argmax(axis=1)
    counts = np.bincount(own, minlength=len(target.labels))
    judged = np.flatnonzero(counts >= MIN_EACH)
    if len(judged) < 2:
        return []
    kept = np.isin(own, judged)
    known, own = known[kept], own[kept]
    score = scores[known][:, judged]
    score = score / np.maximum(score.sum(axis=1, keepdims=True), _ROW_SUM_TOLERANCE)
    wrong = _issues(np.searchsorted(judged, own), score)
    rows, own = known[wrong], own[wrong]
    names = [target.labels[place] for place in own.tolist()]
    likely = [target.labels[place] for place in judged[score[wrong].argmax(axis=1)].tolist()]
    return [_table(frame, target, rows, names, given[rows, own], scores[rows, own], likely)]


def _issues(given: IntArray, probabilities: FloatArray) -> BoolArray:
    """Return (N,) whether a class (N,) is likely wrong, given out-of-fold probabilities (N, K)."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise MissingExtraError("train", "finding label errors") from None
    most = probabilities.argmax(axis=1)
    if np.array_equal(most, given):
        return np.zeros(len(given), dtype=np.bool_)
    return np.asarray(find_label_issues(given, probabilities, n_jobs=1), dtype=np.bool_)


def _table(
    frame: pl.DataFrame,
    target: Target,
    rows: IntArray,
    names: list[str],
    given: FloatArray,
    predicted: FloatArray,
    likely: list[str],
) -> pl.DataFrame:
    chosen = frame.select("id", "source")[rows]
    return chosen.with_columns(
        pl.lit(target.name).alias("target"),
        pl.Series("label", names, dtype=pl.String),
        pl.Series("given", given, dtype=pl.Float64),
        pl.Series("predicted", predicted, dtype=pl.Float64),
        pl.Series("likely", likely, dtype=pl.String),
        pl.Series("doubt", np.abs(given - predicted), dtype=pl.Float64),
    )


def _findings(rows: pl.DataFrame, split: str) -> list[Finding]:
    findings = []
    for (target, label), found in rows.group_by("target", "label", maintain_order=True):
        missing = int((found["given"] < found["predicted"]).sum())
        message = (
            f"{len(found):,} row{'s' * (len(found) != 1)} of '{split}' whose label '{target}/{label}' is likely wrong: "
            f"{len(found) - missing:,} have it, {missing:,} lack it"
        )
        remedy = "read them, least believable first, and correct the labels: --errors-out FILE lists them"
        findings.append(finding_at("likely_label_error", Severity.WARNING, message, remedy, found["source"]))
    return findings
