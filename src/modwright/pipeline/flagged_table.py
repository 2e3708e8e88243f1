"""The tables of flagged proportions and agreement: cells for a terminal, and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.evaluation.wording import span
from modwright.render.markdown import plain, table
from modwright.render.words import count, number, percent

if TYPE_CHECKING:
    from modwright.pipeline.flagged import Flagged

Rows = list[tuple[str, ...]]


def proportion_rows(found: Flagged) -> Rows:
    """Return heading and a row per answering model: its answers, and the share each judge flags with the interval."""
    heading = ("model", "answers", *(judge.name for judge in found.judges))
    rows = [
        (model, count(found.models[model]), *(_share(by_judge[judge.name]) for judge in found.judges))
        for model, by_judge in found.proportions.items()
    ]
    return [heading, *rows]


def agreement_rows(found: Flagged) -> Rows:
    """Return heading and a row per answering model and two judges, all answers together last."""
    heading = (
        "model",
        "judges",
        "rows",
        "agreement",
        "Cohen's kappa",
        "only the first flags",
        "only the second",
    )
    rows = [
        (
            model,
            f"{pair.one} – {pair.other}",
            count(pair.agreement.n),
            _share(pair.agreement),
            _kappa(pair.kappa),
            count(int(pair.counts[1, 0])),
            count(int(pair.counts[0, 1])),
        )
        for model, pairs in found.agreements.items()
        for pair in pairs
    ]
    return [heading, *rows]


def notes(found: Flagged) -> list[str]:
    """Return what a reader must know: who the judges are, and where they say nothing."""
    told = []
    for judge in found.judges:
        unknown = sum(1 for value in judge.flagged if value != value)
        many = "1 answer, which is" if unknown == 1 else f"{count(unknown)} answers, which are"
        silent = f"; no verdict on {many} left out" if unknown else ""
        failed = ", ".join(f"{count(rows)} {kind}" for kind, rows in judge.failures.items())
        told.append(f"{judge.name} is {judge.what}{silent}{f' ({failed})' if failed else ''}.")
    if any(rows < MIN_EVIDENCE for rows in found.models.values()):
        told.append(f"* fewer than {MIN_EVIDENCE} answers: not enough evidence.")
    told.append(
        f"In brackets the 95 % interval; answers to one and the same prompt ({count(found.groups)} of them) "
        "are taken together."
    )
    return told


def _share(interval: Interval) -> str:
    if interval.value is None or interval.low is None or interval.high is None:
        return number(None)
    few = " *" if interval.n < MIN_EVIDENCE else ""
    return f"{percent(interval.value)} ({100 * interval.low:.0f}–{100 * interval.high:.0f}){few}"


def _kappa(interval: Interval) -> str:
    return f"{number(interval.value)} ({span(interval)})" if span(interval) else number(interval.value)


def markdown(found: Flagged) -> str:
    """Return both tables and the notes."""
    parts = ["# Flagged proportion", _table(proportion_rows(found))]
    pairs = agreement_rows(found)
    if len(pairs) > 1:
        parts += ["## Agreement between judges", _table(pairs)]
    parts += ["\n".join(f"- {plain(note)}" for note in notes(found))]
    return "\n\n".join(parts) + "\n"


def _table(rows: Rows) -> str:
    heading, *body = rows
    return table(heading, [[plain(cell) for cell in row] for row in body], figures=True)
