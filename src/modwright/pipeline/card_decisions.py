"""What a model card says of the decisions: from which score a label is flagged, what a person decides, and why there."""

from __future__ import annotations

from collections.abc import Callable

from modwright.evaluation import wording
from modwright.evaluation.decisions import Decisions
from modwright.evaluation.review import LabelBand, asks_for_action
from modwright.recipe import DEFAULT_POINT
from modwright.schema import Schema, Target, TargetKind

#: Makes text of others' harmless in Markdown.
Plain = Callable[[str], str]


def answers(schema: Schema, decisions: Decisions, plain: Plain) -> list[str]:
    """Return a table per target, then what its columns mean, as Markdown blocks."""
    blocks = [_table(target, decisions, plain) for target in schema]
    names = _names(decisions)
    blocks += [f"- `{plain(name)}`: {_point(name, decisions, plain)}" for name in names]
    if decisions.review is not None:
        promise = decisions.review.promise
        blocks.append(
            f"- a person decides: between these scores, so that at most {_percent(promise.misses)} of the texts with a "
            f"label pass unseen, and at most {_percent(promise.wrong_actions)} of those without it are acted on unseen"
        )
    return [*blocks, *_prevalence(schema, decisions, plain)]


def _names(decisions: Decisions) -> list[str]:
    return [DEFAULT_POINT, *sorted(name for name in decisions.points if name != DEFAULT_POINT)]


def _table(target: Target, decisions: Decisions, plain: Plain) -> str:
    how = "any number of" if target.kind is TargetKind.MULTI_LABEL else "exactly one of"
    names, review = _names(decisions), decisions.review
    heads = ["label", *(f"flagged from, `{plain(name)}`" for name in names)]
    heads += ["a person decides"] * (review is not None) + ["calibrated by"]
    lines = [f"**{plain(target.name)}**: {how} these labels.", "", _row(heads), "|---" * len(heads) + "|"]
    for place, label in enumerate(target.labels):
        cells = [plain(label), *(_threshold(target, label, decisions, name) for name in names)]
        if review is not None:
            cells.append(_band(review.bands[target.name].get(label), target))
        lines.append(_row([*cells, str(decisions.calibration[target.name].methods[place])]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _threshold(target: Target, label: str, decisions: Decisions, name: str) -> str:
    if label in target.negative_labels:
        return "never (says nothing is wrong)"
    if target.kind is TargetKind.SINGLE_LABEL:
        return "when most probable"
    threshold = decisions.points[name].thresholds[target.name][label]
    return wording.threshold(threshold)


def _band(band: LabelBand | None, target: Target) -> str:
    if band is None:
        return "no"
    if target.kind is TargetKind.SINGLE_LABEL and not asks_for_action(target):
        return f"where another reaches {wording.cut(band.low)}" if band.promised else "too few rows"
    if not band.promised and target.kind is TargetKind.MULTI_LABEL and band.high <= 1:
        return f"acts from {wording.cut(band.high)}; too few rows to pass"
    if not band.promised and target.kind is TargetKind.MULTI_LABEL and band.low > 0:
        return f"passes below {wording.cut(band.low)}; too few rows to act"
    if not band.promised:
        return "too few rows"
    return f"{wording.cut(band.low)} to {wording.cut(band.high)}" if band.low < band.high else "no"


def _point(name: str, decisions: Decisions, plain: Plain) -> str:
    point = decisions.points[name]
    unmet = [
        plain(label if len(point.thresholds) == 1 else f"{target}/{label}")
        for target, labels in point.unmet.items()
        for label in labels
    ]
    return plain(point.objective) + (f"; not reached for {', '.join(unmet)}" if unmet else "")


def _prevalence(schema: Schema, decisions: Decisions, plain: Plain) -> list[str]:
    shifted = [
        f"{plain(label)} {_percent(deployed)} (among the rows that calibrate {_percent(fitted)})"
        for target in schema
        if (shift := decisions.calibration[target.name].shift) is not None
        for label, fitted, deployed in zip(target.labels, shift.fitted, shift.deployed, strict=True)
        if fitted != deployed
    ]
    return [f"- scores are corrected to a deployment prevalence of {', '.join(shifted)}"] if shifted else []


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
