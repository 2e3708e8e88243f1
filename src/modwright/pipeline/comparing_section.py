"""A comparison as a section of the report: figures side by side, differences, speed, failures, disagreements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from modwright.evaluation.comparison import Comparison, Difference, McNemar, TargetComparison
from modwright.evaluation.sections import Cell, Section, Table
from modwright.evaluation.wording import with_interval
from modwright.render.words import count, number, shortened
from modwright.schema import Target

if TYPE_CHECKING:
    from modwright.pipeline.against.answers import Other
    from modwright.pipeline.comparing import Compared

#: Characters of a text that both disagree on.
_MOST_TEXT = 300
_NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log-loss",
    "ece": "calibration error",
}
#: What a target's decision is, by the figure that sums it up.
_DECIDED = {"f1": "any flag", "accuracy": "right class"}
_LOWER_IS_BETTER = ("brier", "log_loss", "ece")


def overview_section(one: str, others: Sequence[Sequence[Compared]]) -> Section:
    """Return the section of all other models side by side: quality against speed, per split and target."""
    items = [item for found in others for item in found]
    tables = []
    for split in {item.split.name: item.split for item in items}.values():
        of_split = [item for item in items if item.split.name == split.name]
        for target in split.schema:
            if any(target.name in item.comparison.targets for item in of_split):
                tables.append(_overview(target, of_split))
    return Section(
        key="against",
        title=f"{one} beside others",
        intro=(
            "Quality against speed. A difference is the figure of the model that is evaluated less the other's, on the "
            "rows that both were asked for; what follows has every label, the tests and the rows they disagree on."
        ),
        tables=tuple(tables),
    )


def _overview(target: Target, found: Sequence[Compared]) -> Table:
    """Return a target's table: one figure for all, in which a model that does not have it has none."""
    figures = [_figures(item.comparison.targets.get(target.name)) for item in found]
    name = _shared(target, figures)
    whole, own = max(
        ((item, of[name]) for item, of in zip(found, figures, strict=True) if name in of),
        key=lambda pair: pair[0].comparison.rows,
    )
    rows: list[tuple[Cell, ...]] = [
        (whole.comparison.one, whole.comparison.rows, own.one, None, "", _rate(whole.speed[0].texts_per_s), 0)
    ]
    for item, of in zip(found, figures, strict=True):
        figure, comparison = of.get(name), item.comparison
        cells = (None, None, "") if figure is None else (figure.other, figure.difference, _mark("f1", figure))
        speed = _rate(item.speed[1].texts_per_s)
        rows.append((comparison.other, comparison.rows, *cells, speed, comparison.failed[1]))
    note = "Models over HTTP answer several questions at once; a row without an answer counts as wrong."
    if any(name not in of for of in figures):
        note += f" A model without a figure has no {name}: its own section has the figures that there are."
    return Table(
        f"{found[0].split.name}, {target.name}: {name}",
        ("model", "rows", name, "difference", "", "texts per second", "no answer"),
        tuple(rows),
        note=note,
        bars=(name,),
    )


def _figures(target: TargetComparison | None) -> dict[str, Difference]:
    """Return the figures that may sum up a target, the best first: of its decision, then of its labels."""
    if target is None:
        return {}
    decided = [metric for metric in _DECIDED if metric in target.decision]
    return {_decision_name(metric): target.decision[metric] for metric in decided[:1]} | {
        _label_name(label.label): label.metrics["f1"] for label in target.labels.values()
    }


def _shared(target: Target, figures: Sequence[Mapping[str, Difference]]) -> str:
    """Return the name of the figure that all have, the best of them; where there is none, that most have."""
    names = [*map(_decision_name, _DECIDED), *map(_label_name, target.flaggable)]
    return max(names, key=lambda name: sum(name in of for of in figures))


def _decision_name(metric: str) -> str:
    return f"{_NAMES[metric]}, {_DECIDED[metric]}"


def _label_name(label: str) -> str:
    return f"F1 of {label}"


def comparison_section(
    key: str, one: str, other: Other, found: Sequence[Compared], failed: Sequence[str]
) -> Section:
    """Return the section of one other model over all splits; `failed` says what could not be measured."""
    tables = [table for item in found for table in _tables(item)]
    return Section(
        key=key,
        title=f"Against {other.name}",
        intro=(
            f"{one} and {other.name} ({other.what}) on the same rows. A difference is {one}'s figure less {other.name}'s; "
            "its interval comes from resamples that both share, and where it leaves out zero the difference is "
            "marked. p is of McNemar's exact test that both decide equally often rightly, adjusted (Holm) for all "
            "labels of the split; it takes rows for independent."
        ),
        tables=tuple(tables),
        notes=(*failed, *(note for item in found for note in _notes(item))),
        headline=_headline(found[0]) if found else f"{other.name} was not compared.",
    )


def no_answers(found: Sequence[Compared]) -> Iterator[str]:
    """Say of which splits a model answered no row at all."""
    for item in found:
        if not item.comparison.targets:
            kinds = ", ".join(f"{kind} {count(rows)}" for kind, rows in item.answers.counted.items())
            yield f"gave no answer to any row of {item.split.name} ({kinds})."


def _headline(found: Compared) -> str:
    """Return the figure of the first question that both answer, whether the difference is clear, and the speeds."""
    comparison = found.comparison
    for sentence in no_answers([found]):
        return f"{comparison.other} {sentence}"
    target = next(iter(comparison.targets.values()))
    name, figure = next(iter(_figures(target).items()))
    if figure.one.value is None or figure.other.value is None:
        return ""
    sure = "clear" if figure.clear else "may be chance"
    figures = f"{name} {number(figure.one.value)} against {number(figure.other.value)} of {comparison.other}"
    ours, theirs = (_rate(speed.texts_per_s) for speed in found.speed)
    difference = f"difference {with_interval(figure.difference)}, {sure}"
    speed = f"texts per second {ours} against {theirs}"
    return f"{found.split.name}, {target.target}: {figures} ({difference}); {speed}."


def _tables(found: Compared) -> Iterator[Table]:
    name, comparison = found.split.name, found.comparison
    if comparison.targets:
        yield _metrics(name, comparison)
        yield _decisions(name, comparison)
    yield _speed(name, found)
    if found.answers.counted:
        yield Table(
            f"{name}: rows without an answer from {comparison.other}",
            ("what happened", "rows"),
            tuple(found.answers.counted.items()),
            note="They count as wrong decisions in every figure of this section.",
        )
    if found.disagreements:
        yield _disagreements(name, found)


def _metrics(name: str, comparison: Comparison) -> Table:
    rows: list[tuple[Cell, ...]] = []
    thin: list[int] = []
    for target in comparison.targets.values():
        for label in target.labels.values():
            if not label.enough:
                thin += range(len(rows), len(rows) + len(label.metrics))
            rows += _differences(f"{target.target}/{label.label}", label.metrics)
        rows += _differences(f"{target.target}, mean of labels", target.macro)
        rows += _differences(_decided(target), target.decision)
    return Table(
        f"{name}: figures side by side",
        ("of", "figure", comparison.one, comparison.other, "difference", ""),
        tuple(rows),
        note="Of Brier score, log-loss and calibration error lower is better.",
        thin=tuple(thin),
    )


def _decided(target: TargetComparison) -> str:
    return f"{target.target}, {_DECIDED['f1' if 'f1' in target.decision else 'accuracy']}"


def _differences(of: str, metrics: Mapping[str, Difference]) -> list[tuple[Cell, ...]]:
    return [
        (of, _NAMES[metric], found.one, found.other, found.difference, _mark(metric, found))
        for metric, found in metrics.items()
    ]


def _mark(metric: str, found: Difference) -> str:
    if not found.clear or found.difference.value is None:
        return ""
    better = (found.difference.value < 0) == (metric in _LOWER_IS_BETTER)
    return "better" if better else "worse"


def _decisions(name: str, comparison: Comparison) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for target in comparison.targets.values():
        for label in target.labels.values():
            rows += _test(f"{target.target}/{label.label}", label.mcnemar)
        rows += _test(_decided(target), target.mcnemar)
    columns = ("of", f"only {comparison.one} right", f"only {comparison.other} right", "p", "p, adjusted")
    return Table(f"{name}: rows that only one decides rightly", columns, tuple(rows))


def _test(of: str, test: McNemar | None) -> list[tuple[Cell, ...]]:
    return [] if test is None else [(of, test.only_one, test.only_other, _p(test.p), _p(test.holm))]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else number(value, 3)


def _speed(name: str, found: Compared) -> Table:
    names = (found.comparison.one, found.comparison.other)
    rows = tuple(
        (side, speed.texts, number(speed.seconds, 2), _rate(speed.texts_per_s))
        for side, speed in zip(names, found.speed, strict=True)
    )
    how = (
        "Both on the same texts in turns, in the same run."
        if found.speed[1].in_turns
        else "The other's time is that of asking it over the network, several questions at once."
    )
    return Table(f"{name}: speed", ("model", "texts", "seconds", "texts per second"), rows, note=how)


def _rate(texts_per_s: float | None) -> str:
    if texts_per_s is None:
        return number(None)
    return count(round(texts_per_s)) if texts_per_s >= 10 else number(texts_per_s, 2)


def _disagreements(name: str, found: Compared) -> Table:
    split, one, other = found.split, found.comparison.one, found.comparison.other
    texts = split.texts
    rows = []
    for item in found.disagreements:
        place = int(found.rows[item.row])
        truth = "unknown" if item.truth is None else number(item.truth)
        scores = [
            number(score) + (", flagged" if flag else "")
            for score, flag in zip(item.scores, item.flags, strict=True)
        ]
        text = shortened(texts[place], _MOST_TEXT)
        rows.append((str(split.ids[place]), f"{item.target}/{item.label}", *scores, truth, text))
    return Table(
        f"{name}: rows on which both disagree most",
        ("row", "label", one, other, "truth", "text"),
        tuple(rows),
        note="Rows that only one of them flags come first, then the widest gaps between scores.",
        hidden=True,
    )


def _notes(found: Compared) -> Iterator[str]:
    name, comparison = found.split.name, found.comparison
    failed = comparison.failed[1]
    if failed and comparison.targets:
        yield f"{name}: {comparison.other} gave no answer for {count(failed)} of {count(comparison.rows)} rows."
    if comparison.rows < len(found.split):
        yield f"{name}: compared on {count(comparison.rows)} of {count(len(found.split))} rows, drawn at random."
    left_out = [
        f"{target.name}/{label}"
        for target in found.split.schema
        for label in target.flaggable
        if target.name not in comparison.targets or label not in comparison.targets[target.name].labels
    ]
    if left_out and comparison.targets:
        yield f"{name}: {comparison.other} does not judge {', '.join(left_out)}; left out."
