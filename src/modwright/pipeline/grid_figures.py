"""The figures that members of a grid are compared by: read from what a finished run left, the same after any kill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from modwright import artifact as layout
from modwright.evaluation.binary import Metric
from modwright.files import read_json
from modwright.pipeline.run_folder import EVENTS, run_folder_of
from modwright.recipe import FrozenRecipe, Recipe
from modwright.training.event_log import FINISHED, Line, read_lines, seconds_worked
from modwright.training.fitted import CALIBRATION, HELD_OUT, OUT_OF_FOLD, VALIDATION
from modwright.training.history import best_together
from modwright.training.looking import LOSS

#: In a table and in grid.json.
SHOWN = (Metric.F1, Metric.ROC_AUC, Metric.LOG_LOSS)
#: What members are compared by where no metric is defined.
VALIDATION_LOSS = "validation_loss"
_UNSEEN = (CALIBRATION, OUT_OF_FOLD, HELD_OUT, VALIDATION)
#: What the end of a recipe's validation.metric asks for; anything else is judged by the log-loss.
_ASKED = {"auc": Metric.ROC_AUC, "ap": Metric.AVERAGE_PRECISION, "f1": Metric.F1}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to.

    Attributes:
        rows: which ones judged: out_of_fold, held_out, validation or calibration; never the test split.
        loss_before: validation loss before training, the mean over folds; None for `frozen`.
        loss_after: of the weights that were kept, with folds of the look that was best for all; for `frozen` of the
            validation split, None without one.
        metrics: macro averages of those rows by name, mean over targets; None where there is not enough evidence.
        seconds: of work, the time between a kill and the next start left out.
    """

    rows: str
    loss_before: float | None
    loss_after: float | None
    metrics: dict[str, float | None]
    seconds: float

    def judged(self, criterion: str) -> float | None:
        """Return the figure of that name: the validation loss, or a metric."""
        return self.loss_after if criterion == VALIDATION_LOSS else self.metrics.get(criterion)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as data."""
        return {
            "rows": self.rows,
            "loss_before": self.loss_before,
            "loss_after": self.loss_after,
            "metrics": dict(self.metrics),
            "seconds": round(self.seconds, 3),
        }


def criterion_of(recipes: Sequence[Recipe]) -> tuple[str, bool]:
    """Return the metric that says which of some recipes is best, and whether higher is better.

    It is the one that all of them choose their own best look by, else the log-loss, lower.
    """
    asked = {
        ""
        if isinstance(recipe, FrozenRecipe)
        else recipe.validation.metric.rpartition("_")[2].rpartition("/")[2]
        for recipe in recipes
    }
    only = asked.pop() if len(asked) == 1 else ""
    return (str(_ASKED[only]), True) if only in _ASKED else (str(Metric.LOG_LOSS), False)


def read_figures(artifact: Path, recipe: Recipe, seconds: float) -> Figures:
    """Return the figures of a finished run.

    Args:
        artifact: its folder.
        recipe: that it was made by.
        seconds: what training just took, where no run folder says so.

    Raises:
        IntegrityError: metrics.json is missing or broken.
    """
    lines = read_lines(run_folder_of(artifact) / EVENTS)
    rows, metrics = _unseen(read_json(artifact / layout.METRICS))
    best = None
    if not isinstance(recipe, FrozenRecipe) and recipe.validation.keep == "best":
        best = recipe.validation.metric
    before, after = _losses(lines, best)
    finished = any(line.kind == FINISHED for line in lines)
    return Figures(rows, before, after, metrics, seconds_worked(lines) if finished else seconds)


def _unseen(metrics: Any) -> tuple[str, dict[str, float | None]]:
    summary = metrics["summary"]
    rows = next(name for name in _UNSEEN if name in summary)
    names = dict.fromkeys([*SHOWN, *_ASKED.values()])
    return rows, {str(name): _mean_over_targets(summary[rows], str(name)) for name in names}


def _mean_over_targets(targets: dict[str, Any], metric: str) -> float | None:
    values = [target["macro"].get(metric, {}).get("value") for target in targets.values()]
    known = [float(value) for value in values if value is not None]
    return fmean(known) if known else None


def _losses(lines: Sequence[Line], best: str | None) -> tuple[float | None, float | None]:
    """Return the validation loss before training and of what was kept, each the mean over folds.

    Args:
        lines: of the log.
        best: the metric that chose the look that was kept; None kept the last.
    """
    looks: dict[str, list[Line]] = {}
    for line in lines:
        if line.kind == "looked":
            looks.setdefault(line.run, []).append(line)
    folds = {run: some for run, some in looks.items() if run.startswith("fold ")}
    judged = list((folds or looks).values())
    if not judged:
        valid = [line.data.get("valid_loss") for line in lines if line.kind == "step"]
        return None, next((loss for loss in reversed(valid) if loss is not None), None)
    before = [some[0].data["loss"] for some in judged if some[0].step == 0]
    after = [look.data["loss"] for look in _kept(judged, best)]
    return _mean(before), _mean(after)


def _kept(runs: Sequence[Sequence[Line]], best: str | None) -> list[Line]:
    """Return of each run the look that was kept: the last, or the one that is best for all of them together."""
    if best is None:
        return [looks[-1] for looks in runs]
    place = best_together([[_value(look, best) for look in looks] for looks in runs])
    return [looks[place] for looks in runs]


def _value(look: Line, metric: str) -> float:
    return -float(look.data["loss"]) if metric == LOSS else float(look.data["metrics"][metric])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
