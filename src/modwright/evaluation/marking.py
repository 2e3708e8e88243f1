"""An explanation marked in its text: in pieces with a strength, as one HTML page, and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment

from modwright.evaluation.explain import NEGLIGIBLE, Explanation, LabelEffects
from modwright.render import pages
from modwright.render.words import shortened, shown

#: Shares of the strongest effect from which on a mark is one step stronger.
_STEPS = (0.1, 0.25, 0.5, 0.75)
#: Effects are held against at least this many log-odds, so that a text in which nothing matters has no strong mark.
_LEAST_SCALE = 0.5
#: Words listed beside the text.
LISTED = 8


@dataclass(frozen=True, slots=True)
class Marked:
    """A stretch of text.

    Attributes:
        effect: in log-odds; None for what was not left out, such as blanks.
        level: -4 to 4: how strong the mark is; above 0 it raises the score.
    """

    text: str
    effect: float | None
    level: int


@dataclass(frozen=True, slots=True)
class Word:
    """A line of the list beside the text: a piece, how often it occurs, its effect, and the score without it."""

    text: str
    times: int
    effect: float
    score_without: float


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation as a page shows it.

    Attributes:
        name: what the input is called.
        flags: pairs of target and label that are flagged.
    """

    name: str
    explanation: Explanation
    flags: tuple[tuple[str, str], ...]


def marked(explanation: Explanation, label: LabelEffects) -> list[list[Marked]]:
    """Return every turn of the input as stretches of text, in order; together they are the turn."""
    scale = max(_LEAST_SCALE, max((abs(float(effect)) for effect in label.effects), default=0.0))
    places = sorted(
        (span, float(effect))
        for piece, effect in zip(explanation.pieces, label.effects, strict=True)
        for span in piece.spans
    )
    turns: list[list[Marked]] = []
    for turn, message in enumerate(explanation.input):
        stretches, at = [], 0
        for span, effect in places:
            if span.turn != turn:
                continue
            if span.begin > at:
                stretches.append(Marked(message.content[at : span.begin], None, 0))
            stretches.append(Marked(message.content[span.begin : span.end], effect, level(effect, scale)))
            at = span.end
        if at < len(message.content):
            stretches.append(Marked(message.content[at:], None, 0))
        turns.append(stretches)
    return turns


def level(effect: float, scale: float) -> int:
    """Return how strongly an effect is marked, -4 to 4, against the strongest one."""
    if abs(effect) <= NEGLIGIBLE:
        return 0
    steps = sum(abs(effect) >= share * scale for share in _STEPS)
    return steps if effect > 0 else -steps


def listed(explanation: Explanation, label: LabelEffects, most: int = LISTED) -> list[Word]:
    """Return the pieces that moved the score most, whichever way, the strongest first."""
    order = sorted(range(len(explanation.pieces)), key=lambda place: -abs(label.effects[place]))
    return [
        Word(
            explanation.pieces[place].text,
            len(explanation.pieces[place].spans),
            float(label.effects[place]),
            float(label.scores_without[place]),
        )
        for place in order[:most]
        if abs(label.effects[place]) > NEGLIGIBLE
    ]


def marked_plainly(turns: Sequence[Sequence[Marked]]) -> str:
    """Return marked text without colours: [+raises+] and [-lowers-] the score; the strongest have two signs."""
    lines = []
    for stretches in turns:
        line = ""
        for stretch in stretches:
            sign = ("+" if stretch.level > 0 else "-") * (2 if abs(stretch.level) > 2 else 1)
            line += f"[{sign}{shown(stretch.text)}{sign}]" if abs(stretch.level) > 1 else shown(stretch.text)
        lines.append(line)
    return "\n".join(lines)


def explanation_page(title: str, explained: Sequence[Explained]) -> str:
    """Return explanations as one HTML document that needs nothing else."""
    return _environment().get_template("explain.html").render(title=title, explained=explained)


@cache
def _environment() -> Environment:
    made = pages.environment("modwright.evaluation", {"excerpt": shortened})
    made.globals |= {"marked": marked, "listed": listed}
    return made
