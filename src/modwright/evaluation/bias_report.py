"""What was found on unintended bias, as data of metrics.json and as a section of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modwright.evaluation.bias_results import POWER, WEIGHT, BiasMetric, IdentityBias, LabelBias
from modwright.evaluation.rates import Rate
from modwright.evaluation.resampling import LEVEL
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.evaluation.sections import Cell, Section, Table

KEY = "bias"
_AREAS: dict[BiasMetric, str] = {
    BiasMetric.SUBGROUP: "Subgroup AUC",
    BiasMetric.BPSN: "BPSN AUC",
    BiasMetric.BNSP: "BNSP AUC",
}
_INTRO = (
    "Whether the mention of a group of people is taken for the label, or hides it. Subgroup AUC: how well the rows that "
    "mention the group are told apart. BPSN AUC compares negatives that mention it with positives that do not: low where "
    "harmless mentions score high. BNSP AUC compares positives that mention it with negatives that do not: low where "
    "mentions score low. 1.00 is best, 0.50 is chance."
)

#: What was found, by split name.
Found = Mapping[str, Sequence[LabelBias]]


def bias_json(found: Found) -> dict[str, Any]:
    """Return what was found: ``splits`` by split, target and label, and the ``settings`` of the measuring."""
    splits: dict[str, dict[str, dict[str, Any]]] = {}
    for split, labels in found.items():
        splits[split] = {}
        for one in labels:
            splits[split].setdefault(one.target, {})[one.label] = one.to_json()
    settings = {
        "mean": f"generalised mean, power {POWER:g}, over identities with enough evidence",
        "score": f"{WEIGHT:g} x (overall AUC + the three means)",
        "gaps": "rate of the rows that mention the identity less that of the rows that do not, paired by resample",
        "level": LEVEL,
        "min_evidence": MIN_EVIDENCE,
    }
    return {"splits": splits, "settings": settings}


def bias_section(found: Found, source: str) -> Section:
    """Return the report's section: the final scores, then every identity, by split and label.

    Args:
        source: where the identities are from, a sentence.
    """
    tables = []
    for split, labels in found.items():
        suffix = f", {split}" if len(found) > 1 else ""
        targets = {one.target for one in labels}
        tables.append(_scores_table("Final scores" + suffix, labels, len(targets) > 1))
        for one in labels:
            name = f"{one.target}/{one.label}" if len(targets) > 1 else one.label
            tables.append(_identities_table(f"By identity: {name}{suffix}", one))
    notes = (
        source,
        f"Identities that fewer than {MIN_EVIDENCE} positives or negatives mention are shown faint, and neither ranked nor "
        "averaged.",
        "Labels are people's judgements and may be biased themselves; these figures take them as they are.",
    )
    return Section(KEY, "Unintended bias", _INTRO, tuple(tables), notes=notes, headline=headline(found))


def headline(found: Found) -> str:
    """Return whose harmless mentions are clearly flagged more often than other rows, a sentence per split and label."""
    sentences, judged = [], set()
    for split, labels in found.items():
        on = f" on {split}" if len(found) > 1 else ""
        for one in labels:
            judged |= {side.identity for side in one.ranking}
            worse = ", ".join(side.identity for side in one.ranking if _more_false_alarms(side))
            if worse:
                sentences.append(
                    f"Rows without {one.label} are clearly flagged more often{on} where they mention: {worse}."
                )
    if not judged:
        return "Too few rows mention any identity to say whether the mention itself is flagged."
    if not sentences:
        return f"No mention of {len(judged)} identities is clearly flagged more often than other rows without the label."
    return " ".join(sentences)


def _more_false_alarms(side: IdentityBias) -> bool:
    return side.is_clear(Rate.FALSE_POSITIVE) and (side.gaps[Rate.FALSE_POSITIVE].value or 0.0) > 0


def _scores_table(title: str, labels: Sequence[LabelBias], several_targets: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    thin = []
    for place, one in enumerate(labels):
        counted = len(one.ranking)
        means = (one.means[metric] for metric in BiasMetric)
        name = f"{one.target}/{one.label}" if several_targets else one.label
        rows.append((name, one.overall, *means, one.score, counted))
        if not counted:
            thin.append(place)
    columns = (
        "label",
        "overall AUC",
        *(f"mean {_AREAS[metric]}" for metric in BiasMetric),
        "final score",
        "identities",
    )
    note = (
        f"The means over identities are generalised ones of power {POWER:g}, in which the worst count most; the final "
        "score is the mean of the four areas, as in the Jigsaw unintended-bias task."
    )
    return Table(title, columns, tuple(rows), note, thin=tuple(thin))


def _identities_table(title: str, found: LabelBias) -> Table:
    thin_ones = [one for one in found.identities if not one.ranked and one.rows]
    lines = [*found.ranking, *thin_ones]
    absent = [one.identity for one in found.identities if not one.rows]
    columns = (
        "identity",
        "rows",
        "positive",
        *_AREAS.values(),
        "false alarms",
        "false alarms, difference",
        "recall",
        "recall, difference",
    )
    rows = tuple(_identity_row(one) for one in lines)
    thin = tuple(range(len(found.ranking), len(lines)))
    note = (
        "The identity with the lowest area first. False alarms (of rows without the label) and recall are those at the "
        "operating point; a difference is how much higher they are than on rows without a mention."
    )
    if absent:
        note += f" Not mentioned: {', '.join(absent)}."
    return Table(title, columns, rows, note, bars=tuple(_AREAS.values()), thin=thin)


def _identity_row(one: IdentityBias) -> tuple[Cell, ...]:
    areas = (one.metrics[metric] for metric in BiasMetric)
    rates = (
        part for rate in (Rate.FALSE_POSITIVE, Rate.RECALL) for part in (one.metrics[rate], one.gaps[rate])
    )
    return (one.identity, one.rows, one.positives, *areas, *rates)
