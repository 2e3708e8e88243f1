"""What was found on slices, as data of metrics.json and as a section of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modwright.evaluation.binary import Metric
from modwright.evaluation.rates import Rate
from modwright.evaluation.resampling import LEVEL
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.evaluation.sections import Cell, Section, Table
from modwright.evaluation.slices import DECISION, Difference, PartFigures, TargetSlices, differences
from modwright.render.words import number

KEY = "slices"
#: A target with more labels shows only its decision; every label's figures are in metrics.json.
_MOST_LABELS = 6
#: Clear differences that are listed.
_MOST_LISTED = 20
_NAMES: dict[str, str] = {
    Rate.RECALL: "recall",
    Rate.FALSE_POSITIVE: "false alarms",
    Metric.ROC_AUC: "ROC-AUC",
    Metric.PRECISION: "precision",
}
_SHOWN = (Metric.PRECISION, Rate.RECALL, Rate.FALSE_POSITIVE, Metric.ROC_AUC)
_INTRO = (
    "The same figures on parts of the rows, at the operating point. False alarms are the share of rows without the "
    "label that are flagged. Recall, false alarms and ROC-AUC do not depend on how frequent a label is, so parts can be "
    "compared by them; precision does."
)

#: What was found, by split name.
Found = Mapping[str, Sequence[TargetSlices]]


def slices_json(found: Found) -> dict[str, Any]:
    """Return what was found: ``splits`` by split, slicing and target, and the ``settings`` of the measuring."""
    splits: dict[str, dict[str, dict[str, Any]]] = {}
    for split, slices in found.items():
        splits[split] = {}
        for one in slices:
            splits[split].setdefault(one.slicing.name, {})[one.target] = one.to_json()
    settings = {
        "gaps": "figure of the part less that of all rows, paired by bootstrap resample",
        "level": LEVEL,
        "min_evidence": MIN_EVIDENCE,
    }
    return {"splits": splits, "settings": settings}


def slices_section(found: Found) -> Section:
    """Return the report's section: what differs clearly, then every part, by split, slicing and target."""
    tables = [_differences_table(split, slices, len(found) > 1) for split, slices in found.items()]
    alone = []
    for split, slices in found.items():
        targets, on = {one.target for one in slices}, [split] if len(found) > 1 else []
        for one in slices:
            if len(one.slicing.parts) == 1:
                alone.append(
                    f"By {', '.join([one.slicing.name, *on])} all rows are in one part: {one.slicing.parts[0]}."
                )
                continue
            named = [f"by {one.slicing.name}", *([one.target] if len(targets) > 1 else []), *on]
            tables.append(_parts_table(", ".join(named), one))
    notes = (
        *dict.fromkeys(alone),
        f"Parts with fewer than {MIN_EVIDENCE} positives or negatives are shown faint: too few to judge by.",
        "Parts differ in more than their name: one may do worse because its texts are longer or from elsewhere.",
    )
    title = "Where it does better and worse"
    return Section(KEY, title, _INTRO, tuple(tables), notes=notes, headline=headline(found))


def headline(found: Found) -> str:
    """Return where a model does clearly worse, a sentence per split; empty where nothing could be compared."""
    sentences = []
    for split, slices in found.items():
        clear, made = differences(slices)
        worse = [one for one in clear if one.worse]
        on = f" on {split}" if len(found) > 1 else ""
        if worse:
            more = f", and in {len(worse) - 1} more comparisons" if len(worse) > 1 else ""
            chance = made * (1 - LEVEL) / 2
            expected = f"about {chance:.0f}" if round(chance) else "hardly any"
            sentences.append(
                f"It does clearly worse{on} in {_told(worse[0])}{more}. Of {made} comparisons, {expected} would look so "
                "by chance alone."
            )
        elif made:
            sentences.append(
                f"In none of {made} comparisons of parts with all rows does it do clearly worse{on}."
            )
    return " ".join(sentences)


def _told(one: Difference) -> str:
    here, whole = one.figures.metrics[one.metric], one.whole.metrics[one.metric]
    label = f" of {one.figures.label}" if one.figures.label else ""
    return f"{_place(one)} ({_NAMES[one.metric]}{label} {number(here.value)}, over all rows {number(whole.value)})"


def _place(one: Difference) -> str:
    return f"{one.slicing}: {one.figures.part}"


def _differences_table(split: str, slices: Sequence[TargetSlices], several: bool) -> Table:
    clear, made = differences(slices)
    targets = {one.target for one in slices}
    rows = [_difference_row(one, len(targets) > 1) for one in clear[:_MOST_LISTED]]
    listed = f" The {_MOST_LISTED} clearest are listed." if len(clear) > _MOST_LISTED else ""
    if not made:
        note = "No part holds enough rows to be compared with all rows, or no intervals were worked out."
    else:
        note = (
            f"{len(clear)} of {made} figures differ from those of all rows by more than chance is likely to make; if "
            f"nothing differed, about {made * (1 - LEVEL):.0f} would.{listed}"
        )
    columns = ("part", "label", "figure", "rows", "in the part", "difference from all rows")
    title = "What differs clearly" + (f", {split}" if several else "")
    return Table(title, columns, tuple(rows), note)


def _difference_row(one: Difference, several_targets: bool) -> tuple[Cell, ...]:
    figures = one.figures
    label = figures.label or "any label"
    return (
        _place(one),
        f"{one.target}/{label}" if several_targets else label,
        _NAMES[one.metric],
        figures.known,
        figures.metrics[one.metric],
        one.gap,
    )


def _parts_table(title: str, found: TargetSlices) -> Table:
    labels = list(found.parts)
    if len(labels) > _MOST_LABELS + 1:
        labels = [label for label in labels if label == DECISION] or labels
    several = len(labels) > 1
    lines = [line for label in labels for line in (found.whole[label], *found.parts[label])]
    columns = (
        "part",
        *(("label",) if several else ()),
        "rows",
        "positive",
        *(_NAMES[name] for name in _SHOWN),
    )
    rows = [_part_row(one, several) for one in lines]
    thin = tuple(place for place, one in enumerate(lines) if one.note)
    left_out = " Figures of every label are in metrics.json." if len(labels) < len(found.parts) else ""
    return Table(
        title, columns, tuple(rows), found.slicing.note + left_out, bars=(_NAMES[Rate.RECALL],), thin=thin
    )


def _part_row(one: PartFigures, several: bool) -> tuple[Cell, ...]:
    label = (one.label or "any label",) if several else ()
    figures = tuple(one.metrics.get(name) for name in _SHOWN)
    return ("all rows" if one.part is None else one.part, *label, one.known, one.positives, *figures)
