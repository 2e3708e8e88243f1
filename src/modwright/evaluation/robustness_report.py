"""What disguises, other scripts and functional tests showed, as data of metrics.json and as a section of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modwright.evaluation.binary import Metric
from modwright.evaluation.functional import FunctionalResult, Passed
from modwright.evaluation.other_scripts import FalseAlarms
from modwright.evaluation.perturbations import PERTURBATIONS, SHARE
from modwright.evaluation.rates import Rate
from modwright.evaluation.resampling import LEVEL, Interval
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.evaluation.robustness import Effect, MeanScore, Robustness
from modwright.evaluation.sections import Cell, Section, Table
from modwright.evaluation.slices import DECISION

KEY = "robustness"
#: A target with more labels shows only its decision, where it has one; every label's figures are in metrics.json.
_MOST_LABELS = 6
_INTRO = (
    "The same rows with half of their words disguised, or among harmless sentences, scored again at the same operating "
    "point. Changes are paired: what the same resamples of rows lose or gain. Only the turn that is judged is changed."
)
_SCRIPTS_NOTE = (
    "Ten harmless sentences, the same in every language. What is flagged here is a false alarm; a model that has not "
    "learnt a language may flag all of it, or be blind to it."
)
_FUNCTIONAL_NOTE = (
    "Cases written to test one thing each; how many are flagged, or not flagged, as they should be. Cases of one template "
    "count as one for the intervals."
)

#: What was found, by split name.
Found = Mapping[str, Robustness]


def robustness_json(
    found: Found, scripts: Sequence[FalseAlarms], functional: Sequence[FunctionalResult], seed: int
) -> dict[str, Any]:
    """Return what was found: ``splits`` by split, perturbation, target and label, ``other_scripts`` by language and
    target, ``functional`` by file, and ``settings`` of the measuring."""
    splits: dict[str, Any] = {}
    for name, one in found.items():
        effects: dict[str, Any] = {}
        for effect in one.effects:
            place = effects.setdefault(effect.perturbation, {}).setdefault(effect.target, {"labels": {}})
            if effect.label == DECISION:
                place["decision"] = effect.to_json()
            else:
                place["labels"][effect.label] = effect.to_json()
        splits[name] = {"rows": one.rows, "of": one.of, "perturbations": effects}
    languages: dict[str, Any] = {}
    for alarms in scripts:
        languages.setdefault(alarms.language, {})[alarms.target] = alarms.to_json()
    return {
        "splits": splits,
        "other_scripts": languages,
        "functional": {one.file: one.to_json() for one in functional},
        "settings": {"level": LEVEL, "min_evidence": MIN_EVIDENCE, "share_of_words": SHARE, "seed": seed},
    }


def robustness_section(
    found: Found, scripts: Sequence[FalseAlarms], functional: Sequence[FunctionalResult]
) -> Section:
    """Return the report's section: each label under every perturbation, other scripts, functional tests."""
    tables: list[Table] = []
    for name, one in found.items():
        targets = {effect.target for effect in one.effects}
        for target, label in _shown(one.effects):
            effects = [effect for effect in one.effects if (effect.target, effect.label) == (target, label)]
            words = [label or "is anything flagged"]
            words += [target] if len(targets) > 1 else []
            words += [name] if len(found) > 1 else []
            tables.append(_effects_table(", ".join(words), effects))
    tables += [_scripts_table(target, scripts) for target in dict.fromkeys(one.target for one in scripts)]
    tables += [table for one in functional for table in _functional_tables(one)]
    notes = [
        f"Rows of a label with fewer than {MIN_EVIDENCE} positives or negatives are shown faint: too few to judge by.",
        "A disguise that people use is not drawn by chance: who knows the model finds worse ones.",
    ]
    notes += [
        f"{name}: {one.rows} of {one.of} rows, drawn at random"
        for name, one in found.items()
        if one.rows < one.of
    ]
    headline = " ".join(filter(None, (summary(name, one) for name, one in found.items())))
    return Section(KEY, "Against disguises", _INTRO, tuple(tables), notes=tuple(notes), headline=headline)


def summary(split: str, found: Robustness) -> str:
    """Return under which perturbation a label or the decision loses most recall, in one sentence.

    Empty where nothing can be said: too few rows, or no interval that tells a fall from chance.
    """
    judged = [
        effect for effect in found.effects if effect.enough and effect.change[Rate.RECALL].high is not None
    ]
    if not judged:
        return ""
    told = [effect for effect in judged if _clearly_lost(effect)]
    if not told:
        return f"{split}: no disguise lowers recall clearly."
    worst = min(told, key=lambda effect: effect.change[Rate.RECALL].value or 0.0)
    before, after = (part[Rate.RECALL].value or 0.0 for part in (worst.before, worst.after))
    named = f"'{worst.label}'" if worst.label else f"'{worst.target}', any label"
    return f"{split}: {PERTURBATIONS[worst.perturbation].what} lower recall of {named} from {before:.2f} to {after:.2f}."


def _clearly_lost(effect: Effect) -> bool:
    change = effect.change[Rate.RECALL]
    return change.value is not None and change.high is not None and change.value < 0 and change.high < 0


def _shown(effects: Sequence[Effect]) -> list[tuple[str, str]]:
    """Return targets and labels in order; of a target with many labels the decision alone, where there is one."""
    pairs = list(dict.fromkeys((effect.target, effect.label) for effect in effects))
    many = {
        target
        for target, label in pairs
        if label == DECISION
        and sum(1 for other, label in pairs if other == target and label != DECISION) > _MOST_LABELS
    }
    return [(target, label) for target, label in pairs if target not in many or label == DECISION]


def _effects_table(title: str, effects: Sequence[Effect]) -> Table:
    columns = ["disguise", "texts changed", "recall", "change of recall", "change of false alarms"]
    labelled = effects[0].label != DECISION
    if labelled:
        columns += ["ROC-AUC", "change of ROC-AUC", "score of positives", "score of negatives"]
    first = effects[0]
    rows: list[tuple[Cell, ...]] = [_as_they_are(first, labelled), *(_effect_row(one) for one in effects)]
    thin = () if first.enough else tuple(range(len(rows)))
    note = f"{first.positives} rows hold it, {first.negatives} do not."
    if labelled:
        note += " Mean scores: by how much they move."
    return Table(title, tuple(columns), tuple(rows), note=note, thin=thin)


def _as_they_are(effect: Effect, labelled: bool) -> tuple[Cell, ...]:
    before = effect.before
    row: tuple[Cell, ...] = ("as they are", 0, before[Rate.RECALL], None, None)
    return (*row, before[Metric.ROC_AUC], None, None, None) if labelled else row


def _effect_row(effect: Effect) -> tuple[Cell, ...]:
    after, change = effect.after, effect.change
    row: tuple[Cell, ...] = (
        effect.perturbation.replace("_", " "),
        effect.changed,
        after[Rate.RECALL],
        change[Rate.RECALL],
        change[Rate.FALSE_POSITIVE],
    )
    if effect.label == DECISION:
        return row
    return (
        *row,
        after[Metric.ROC_AUC],
        change[Metric.ROC_AUC],
        change[MeanScore.POSITIVES],
        change[MeanScore.NEGATIVES],
    )


def _scripts_table(target: str, scripts: Sequence[FalseAlarms]) -> Table:
    mine = [one for one in scripts if one.target == target]
    rows = [
        (
            one.language,
            one.flagged.n,
            one.flagged,
            ", ".join(f"{label} {count}" for label, count in sorted(one.labels.items(), key=lambda x: -x[1])),
        )
        for one in mine
    ]
    title = f"False alarms on harmless sentences in other scripts, {target}"
    columns = ("language", "sentences", "flagged", "as")
    return Table(title, columns, tuple(rows), note=_SCRIPTS_NOTE, bars=("flagged",))


def _functional_tables(found: FunctionalResult) -> list[Table]:
    asked = f"{found.target}/{found.label}" if found.label else f"any label of {found.target}"
    tables = [
        _passed_table(
            f"Functional tests of {found.file}", "cases", found.overall, f"{_FUNCTIONAL_NOTE} Asked: {asked}."
        ),
        _passed_table(f"{found.file} by functionality", "functionality", found.functionalities, ""),
    ]
    if found.identities:
        tables.append(_passed_table(f"{found.file} by identity", "identity", found.identities, ""))
    return tables


def _passed_table(title: str, first: str, passed: Sequence[Passed], note: str) -> Table:
    rows = [(one.name or "all", _gold(one.positive), one.accuracy.n, one.accuracy) for one in passed]
    thin = tuple(place for place, one in enumerate(passed) if _few(one.accuracy))
    return Table(
        title, (first, "to be flagged", "cases", "right"), tuple(rows), note=note, bars=("right",), thin=thin
    )


def _few(accuracy: Interval) -> bool:
    return accuracy.n < MIN_EVIDENCE


def _gold(positive: bool | None) -> str:
    return "some" if positive is None else "yes" if positive else "no"
