"""A look at held-out rows: their loss, metrics by name, and the one number that says whether a look is better."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from modwright.errors import DataError, RecipeError, TrainingError, nearest
from modwright.evaluation.binary import LabelStatistics, Metric, Sample
from modwright.evaluation.thresholds import best_f1
from modwright.schema import FloatArray, Schema, TargetKind
from modwright.training.documents import whole_rows
from modwright.training.rows import TrainingRows
from modwright.training.selection import document_log_loss

LOSS = "loss"
_WHERE = "recipe, validation.metric"
_KINDS = ("auc", "ap", "f1")
#: What every look tells, where the rows define it.
STANDARD = tuple(f"macro_{kind}" for kind in _KINDS)

#: truth: target to (N, L), NaN unknown; scores: target to (N, L) raw probabilities. Higher is better.
MetricFunction = Callable[[Mapping[str, FloatArray], Mapping[str, FloatArray]], float]


@dataclass(frozen=True, slots=True)
class Look:
    """What held-out rows say of the weights as they are.

    Attributes:
        loss: mean over targets of the documents' masked log-loss, raw scores.
        metrics: by name; those that the rows leave undefined are left out.
        value: of the recipe's metric, higher is better (the loss negated).
        scores: target to (N, L) that it was judged by, where somebody will choose between looks later.
    """

    loss: float
    metrics: Mapping[str, float]
    value: float
    scores: Mapping[str, FloatArray] | None = None


class Judge:
    """Turns raw scores of held-out rows into looks.

    Args:
        schema: targets of the rows.
        rows: held out.
        metric: "loss"; macro_auc, macro_ap or macro_f1 (mean over all flaggable labels, F1 at each label's best
            threshold); TARGET/macro_auc and so on for one target; TARGET/LABEL/auc, /ap or /f1 for one label; accuracy or
            TARGET/accuracy of single-label targets; or "package.module:function", a `MetricFunction`.

    Raises:
        RecipeError: no such metric, with the nearest; or a function that cannot be imported.
    """

    def __init__(self, schema: Schema, rows: TrainingRows, metric: str) -> None:
        self._schema = schema
        self._rows = rows
        self._metric = metric
        self._function = _imported(metric) if ":" in metric and metric not in names(schema) else None
        if self._function is None and metric not in names(schema):
            raise RecipeError(
                f"unknown metric '{metric}'", where=_WHERE, remedy=nearest(metric, names(schema))
            )

    def look(self, scores: Mapping[str, FloatArray]) -> Look:
        """Judge raw scores, target to (N, L).

        Raises:
            DataError: the held-out rows leave the recipe's metric undefined.
            RecipeError: the recipe's function fails or returns no number.
            TrainingError: a score is no number.
        """
        for name, values in scores.items():
            if not np.isfinite(values).all():
                raise TrainingError(
                    f"a score of the target '{name}' is no finite number: the weights are beyond repair",
                    remedy='lower optimizer.learning_rate, or take training.precision = "float32"',
                )
        losses = [
            document_log_loss(target, scores[target.name], self._rows.labels[target.name], self._rows.weights)
            for target in self._schema
        ]
        loss = float(np.mean(losses))
        found = _measured(self._schema, scores, self._rows.labels)
        wanted = (*STANDARD, "accuracy", self._metric)
        metrics = {name: found[name] for name in wanted if not np.isnan(found.get(name, np.nan))}
        if self._function is not None:
            metrics[self._metric] = self._own(scores)
        if self._metric == LOSS:
            return Look(loss, metrics, -loss)
        if self._metric not in metrics:
            raise DataError(
                f"the {len(self._rows.inputs)} held-out rows leave '{self._metric}' undefined: a label lacks positives "
                "or negatives there",
                remedy='take metric = "loss", or give more rows',
            )
        return Look(loss, metrics, metrics[self._metric])

    def _own(self, scores: Mapping[str, FloatArray]) -> float:
        assert self._function is not None
        try:
            value = float(self._function(dict(self._rows.labels), dict(scores)))
        except Exception as error:
            raise RecipeError(f"{self._metric} failed: {error!r}", where=_WHERE) from error
        if not np.isfinite(value):
            raise RecipeError(f"{self._metric} returned {value}, expected a finite number", where=_WHERE)
        return value


def names(schema: Schema) -> tuple[str, ...]:
    """Return every metric that a recipe may name for a schema, functions aside."""
    found = [LOSS, *STANDARD]
    for target in schema:
        found += [f"{target.name}/macro_{kind}" for kind in _KINDS]
        found += [f"{target.name}/{label}/{kind}" for label in target.flaggable for kind in _KINDS]
        if target.kind is TargetKind.SINGLE_LABEL:
            found += ["accuracy", f"{target.name}/accuracy"]
    return tuple(dict.fromkeys(found))


def _imported(name: str) -> MetricFunction:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise RecipeError(
            f"the metric '{name}' cannot be imported: {error}",
            where=_WHERE,
            remedy="expected package.module:function, importable from here",
        ) from None
    if not callable(function):
        raise RecipeError(
            f"the metric '{name}' is {type(function).__name__}, expected a function", where=_WHERE
        )
    wanted: MetricFunction = function
    return wanted


def _measured(
    schema: Schema, scores: Mapping[str, FloatArray], truth: Mapping[str, FloatArray]
) -> dict[str, float]:
    """Return every metric of `names` but the loss; NaN where undefined."""
    found: dict[str, float] = {}
    every: list[dict[str, float]] = []
    right: list[float] = []
    for target in schema:
        values, labels = scores[target.name], whole_rows(target, truth[target.name])
        mine = []
        for label in target.flaggable:
            place = target.index(label)
            mine.append(_of_label(values[:, place], labels[:, place], schema.positive_above))
            found |= {f"{target.name}/{label}/{kind}": mine[-1][kind] for kind in _KINDS}
        found |= {f"{target.name}/macro_{kind}": _mean([one[kind] for one in mine]) for kind in _KINDS}
        every += mine
        if target.kind is TargetKind.SINGLE_LABEL:
            known = ~np.isnan(labels).any(axis=1)
            hits = values[known].argmax(axis=1) == labels[known].argmax(axis=1)
            right.append(float(hits.mean()) if known.any() else np.nan)
            found[f"{target.name}/accuracy"] = right[-1]
    found |= {f"macro_{kind}": _mean([one[kind] for one in every]) for kind in _KINDS}
    return found | {"accuracy": _mean(right)}


def _of_label(scores: FloatArray, truth: FloatArray, positive_above: float) -> dict[str, float]:
    known = ~np.isnan(truth)
    positives = truth[known] > positive_above
    if not positives.any() or positives.all():
        return dict.fromkeys(_KINDS, np.nan)
    statistics = LabelStatistics(Sample(scores[known], truth[known], positives, None)).at()
    f1 = best_f1(scores[known], positives)[1]
    return {"auc": statistics[Metric.ROC_AUC], "ap": statistics[Metric.AVERAGE_PRECISION], "f1": float(f1)}


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
