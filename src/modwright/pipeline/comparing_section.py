"""A comparison as a section of the report: figures side by side, differences, speed, failures, disagreements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from modwright.evaluation.comparison import Comparison, Difference, McNemar, TargetComparison
from modwright.evaluation.sections import Cell, Section, Table
from modwright.evaluation.wording import with_interval
from modwright.render.words import count, number, shortened

if TYPE_CHECKING:
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


def overview_section(others: Sequence[Sequence[Compared]]) -> Section:
    """Return the section of all other models side by side: quality against speed, per split and target."""
    one = others[0][0].comparison.one
    tables = []
    for of_split in zip(*others, strict=True):
        for target in of_split[0].split.schema:
            found = [item for item in of_split if target.name in item.comparison.targets]
            if found:
                tables.append(_overview(target.name, found))
    return Section(
        key="against",
        title=f"{one} beside others",
        intro=(
            "Quality against speed. A difference is the figure of the model that is evaluated less the other's, on the "
            "rows that both were asked for; what follows has every label, the tests and the rows they disagree on."
        ),
        tables=tuple(tables),
    )


def _overview(target: str, found: Sequence[Compared]) -> Table:
    whole = max(found, key=lambda item: item.comparison.rows)
    name, own = _figure(whole.comparison.targets[target])
    rows: list[tuple[Cell, ...]] = [
        (whole.comparison.one, whole.comparison.rows, own.one, None, "", _rate(whole.speed[0].texts_per_s), 0)
    ]
    for item in found:
        _, figure = _figure(item.comparison.targets[target])
        mark = _mark("f1", figure)
        speed, failed = _rate(item.speed[1].texts_per_s), item.comparison.failed[1]
        rows.append(
            (
                item.comparison.other,
                item.comparison.rows,
                figure.other,
                figure.difference,
                mark,
                speed,
                failed,
            )
        )
    return Table(
        f"{found[0].split.name}, {target}: {name}",
        ("model", "rows", name, "difference", "", "texts per second", "no answer"),
        tuple(rows),
        note="Models over HTTP answer several questions at once; a row without an answer counts as wrong.",
        bars=(name,),
    )


def _figure(target: TargetComparison) -> tuple[str, Difference]:
    """Return the figure that sums up a target: of its decision, else of its first label."""
    for metric in ("f1", "accuracy"):
        if metric in target.decision:
            return f"{_NAMES[metric]}, {_DECIDED[metric]}", target.decision[metric]
    label = next(iter(target.labels.values()))
    return f"F1 of {label.label}", label.metrics["f1"]


def comparison_section(key: str, found: Sequence[Compared]) -> Section:
    """Return the section of one other model over all splits."""
    first = found[0]
    one, other = first.comparison.one, first.comparison.other
    tables = [table for item in found for table in _tables(item)]
    return Section(
        key=key,
        title=f"Against {other}",
        intro=(
            f"{one} and {other} ({first.other.what}) on the same rows. A difference is {one}'s figure less {other}'s; "
            "its interval comes from resamples that both share, and where it leaves out zero the difference is "
            "marked. p is of McNemar's exact test that both decide equally often rightly, adjusted (Holm) for all "
            "labels of the split; it takes rows for independent."
        ),
        tables=tuple(tables),
        notes=tuple(note for item in found for note in _notes(item)),
        headline=_headline(first),
    )


def _headline(found: Compared) -> str:
    """Return the figure of the first question that both answer, whether the difference is clear, and the speeds."""
    comparison = found.comparison
    target = next(iter(comparison.targets.values()))
    name, figure = _figure(target)
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
    if failed:
        yield f"{name}: {comparison.other} gave no answer for {count(failed)} of {count(comparison.rows)} rows."
    if comparison.rows < len(found.split):
        yield f"{name}: compared on {count(comparison.rows)} of {count(len(found.split))} rows, drawn at random."
    left_out = [
        f"{target.name}/{label}"
        for target in found.split.schema
        for label in target.flaggable
        if target.name not in comparison.targets or label not in comparison.targets[target.name].labels
    ]
    if left_out:
        yield f"{name}: {comparison.other} does not judge {', '.join(left_out)}; left out."
