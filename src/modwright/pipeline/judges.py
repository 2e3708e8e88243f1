"""Who says whether an answer is flagged: a column of the file, an artifact, a server, a prompted LLM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modwright.artifact import MANIFEST
from modwright.data.columnar import pl
from modwright.errors import DataError, NotFoundError, UsageError, nearest
from modwright.evaluation.thresholds import flags
from modwright.pipeline.against.local import CHUNK
from modwright.pipeline.against.specs import AgainstOptions, is_remote, open_other
from modwright.pipeline.against.wire import WireOptions
from modwright.schema import FloatArray, Input, Schema, Target, TargetKind
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine
from modwright.settings import Settings

#: What a prompted LLM and a server are asked where a file says nothing of labels.
HARMFUL = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, ("harmful",)),))
_YES = frozenset({"1", "true", "yes", "flagged", "harmful", "unsafe"})
_NO = frozenset({"0", "false", "no", "unflagged", "not flagged", "unharmful", "harmless", "safe"})
_HALF = 0.5
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """How judges are asked.

    Attributes:
        operating_point: of artifacts.
        target: of artifacts, whose flags count; None counts those of every target.
        wire: for those over HTTP.
        labels: what those over HTTP are asked for; a text is flagged where one of them holds.
    """

    operating_point: str = DEFAULT_OPERATING_POINT
    target: str | None = None
    wire: WireOptions = field(default_factory=WireOptions)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one judge says of N answers.

    Attributes:
        what: what the judge is, and what it means by flagged.
        flagged: (N,) 1 flagged, 0 not, NaN unknown.
        failures: how many rows a judge over HTTP gave no answer for, by kind; they are unknown.
    """

    name: str
    what: str
    flagged: FloatArray
    failures: Mapping[str, int] = field(default_factory=dict)


def judge(
    spec: str,
    inputs: Sequence[Input],
    columns: pl.DataFrame,
    settings: Settings,
    options: JudgeOptions,
    progress: Callable[[str, int, int], None] | None = None,
) -> Verdicts:
    """Let a judge say of every answer whether it is flagged.

    Args:
        spec: the folder of an artifact; `COLUMN`, whose values are yes or no or a number (flagged above one half);
            `COLUMN=VALUE,VALUE`, the values that mean flagged; `[MODEL@]https://HOST`; or `llm:MODEL@URL`.
        columns: the file's other columns, (N,) each.

    Raises:
        UsageError, NotFoundError, DataError: there is no such judge, or its column says neither yes nor no.
    """
    if is_remote(spec):
        return _remote(spec, inputs, settings, options, progress)
    if (Path(spec) / MANIFEST).is_file():
        return _artifact(Path(spec), inputs, settings, options, progress)
    name, equals, values = spec.partition("=")
    if spec in columns.columns:  # a column may have '=' in its name
        name, equals = spec, ""
    if name not in columns.columns:
        raise NotFoundError(
            f"'{name}' is neither an artifact's folder nor a column",
            where="--judge",
            remedy=nearest(name, columns.columns),
        )
    series = columns.get_column(name)
    return _listed(name, series, values) if equals else _plain(name, series)


def _artifact(
    folder: Path,
    inputs: Sequence[Input],
    settings: Settings,
    options: JudgeOptions,
    progress: Callable[[str, int, int], None] | None,
) -> Verdicts:
    engine = Engine.load(folder, threads=settings.threads, bulk=True)
    point = engine.operating_point(options.operating_point)
    targets = [engine.schema.target(options.target)] if options.target else list(engine.schema)
    name, parts = folder.resolve().name, []
    for begin in range(0, len(inputs), CHUNK):
        scores = engine.calibrated(inputs[begin : begin + CHUNK]).values
        flagged = [
            flags(target, scores[target.name], point.thresholds[target.name]).any(axis=1)
            for target in targets
        ]
        parts.append(np.any(flagged, axis=0))
        if progress is not None:
            progress(name, min(begin + CHUNK, len(inputs)), len(inputs))
    asked = ", ".join(target.name for target in targets)
    what = (
        f"artifact {engine.id[:16]}: any flag of {asked} at the operating point '{options.operating_point}'"
    )
    return Verdicts(name, what, np.concatenate(parts).astype(np.float64))


def _remote(
    spec: str,
    inputs: Sequence[Input],
    settings: Settings,
    options: JudgeOptions,
    progress: Callable[[str, int, int], None] | None,
) -> Verdicts:
    schema = HARMFUL
    if options.labels:
        schema = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, options.labels),))
    other = open_other(spec, schema, settings, AgainstOptions(options.wire))
    try:
        told = None if progress is None else lambda done, total: progress(other.name, done, total)
        answers = other.answer(inputs, told)
    finally:
        other.close()
    target = next(iter(schema))
    covered = answers.covered[target.name]
    if not covered.any() and not answers.failed.all():
        raise UsageError(
            f"{other.name} judges none of {', '.join(target.labels)}",
            where="--judge",
            remedy="name its labels with --judge-label",
        )
    flagged = answers.flags[target.name].any(axis=1).astype(np.float64)
    what = f"{other.what}: any of {', '.join(target.flaggable)}"
    return Verdicts(other.name, what, np.where(answers.failed, np.nan, flagged), answers.counted)


def _listed(name: str, series: pl.Series, given: str) -> Verdicts:
    """Read a column of which some values mean flagged; an empty cell is unknown."""
    flagging = [value.strip() for value in given.split(",")]
    texts = _texts(series)
    found = {text for text in texts if text is not None}
    for value in flagging:
        if value not in found:
            raise DataError(
                f"no row says '{value}'", field=name, remedy=nearest(value, sorted(found)[:_SHOWN])
            )
    verdicts = [np.nan if text is None else float(text in flagging) for text in texts]
    return Verdicts(name, f"column: {', '.join(flagging)}", np.array(verdicts))


def _plain(name: str, series: pl.Series) -> Verdicts:
    """Read a column of yes and no, or of numbers; an empty cell is unknown."""
    if series.dtype.is_numeric():
        values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return Verdicts(name, "column: above 0.5", np.where(np.isnan(values), np.nan, values > _HALF))
    texts = [None if text is None else text.casefold() for text in _texts(series)]
    found = {text for text in texts if text is not None}
    if found <= _YES | _NO:
        verdicts = [np.nan if text is None else float(text in _YES) for text in texts]
        return Verdicts(name, "column: yes or no", np.array(verdicts))
    numbers = [_number(text) for text in texts]
    if any(number is None for number in numbers):
        shown = ", ".join(sorted(found)[:_SHOWN]) + ("…" if len(found) > _SHOWN else "")
        raise DataError(
            f"holds {len(found)} different values ({shown[:300]}), expected yes and no or numbers",
            field=name,
            remedy=f"say which mean flagged: --judge '{name}=VALUE,VALUE'",
        )
    values = np.array(numbers, dtype=np.float64)
    return Verdicts(name, "column: above 0.5", np.where(np.isnan(values), np.nan, values > _HALF))


def _texts(series: pl.Series) -> list[str | None]:
    """Return the cells as stripped text, None where empty."""
    stripped = (None if value is None else str(value).strip() for value in series.to_list())
    return [text or None for text in stripped]


def _number(text: str | None) -> float | None:
    """Return a number, NaN for an empty cell, None for anything else."""
    if text is None:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
