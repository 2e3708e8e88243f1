"""What the pictures show: slices and bars with their colours, the small ones grouped, the same on paper and page."""

from __future__ import annotations

from dataclasses import dataclass

from modwright.data.describe.description import TargetCounts

#: Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008, "Color universal design").
PALETTE = ("#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
FLAGGED, UNFLAGGED, UNKNOWN, OTHERS = "#D55E00", "#8FC1E3", "#D0D0D0", "#7A7A7A"
NO_FLAGS = "No Flags"
#: Slices drawn by themselves, and the least share of one.
_MOST_SLICES, _LEAST_SHARE = len(PALETTE), 0.01
#: Bars drawn by themselves.
MOST_BARS = 40


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a pie: whose it is, rows, share of the pie, colour."""

    name: str
    rows: int
    share: float
    colour: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A label's rows: flagged, not flagged, unknown."""

    label: str
    flagged: int
    unflagged: int
    unknown: int

    @property
    def rows(self) -> int:
        """Return all of them."""
        return self.flagged + self.unflagged + self.unknown


def label_colours(targets: list[TargetCounts]) -> dict[str, str]:
    """Return a colour for the labels with most positives over all splits: a label has one colour in every picture."""
    totals: dict[str, int] = {}
    for target in targets:
        for label in target.labels:
            if not label.negative:
                totals[label.label] = totals.get(label.label, 0) + label.positives
    ranked = sorted(totals, key=lambda name: -totals[name])
    return dict(zip(ranked, PALETTE, strict=False))


def category_slices(target: TargetCounts, colours: dict[str, str]) -> list[Slice]:
    """Return the positives of every label beside the rows without a flag, largest first, small ones together.

    A row with two labels is in two slices, as is usual in this picture.
    """
    counts = [(NO_FLAGS, target.unflagged)]
    counts += [(label.label, label.positives) for label in target.labels if not label.negative]
    total = sum(rows for _, rows in counts) or 1
    drawn, small = [], []
    for place, (name, rows) in enumerate(counts):
        if place == 0:
            if rows:
                drawn.append(Slice(name, rows, rows / total, UNFLAGGED))
        elif name in colours and rows / total >= _LEAST_SHARE:
            drawn.append(Slice(name, rows, rows / total, colours[name]))
        elif rows:
            small.append((name, rows))
    if len(small) == 1 and small[0][0] in colours:
        name, rows = small.pop()
        drawn.append(Slice(name, rows, rows / total, colours[name]))
    drawn.sort(key=lambda part: -part.rows)
    if small:
        rows = sum(number for _, number in small)
        name = small[0][0] if len(small) == 1 else f"{len(small)} other labels"
        drawn.append(Slice(name, rows, rows / total, OTHERS))
    return drawn


def flag_slices(target: TargetCounts) -> list[Slice]:
    """Return rows that are not flagged, flagged, and unknown."""
    total = (target.flagged + target.unflagged + target.unknown) or 1
    parts = (
        ("Not flagged", target.unflagged, UNFLAGGED),
        ("Flagged", target.flagged, FLAGGED),
        ("Unknown", target.unknown, UNKNOWN),
    )
    return [Slice(name, rows, rows / total, colour) for name, rows, colour in parts if rows]


def label_bars(target: TargetCounts) -> tuple[list[Bar], int]:
    """Return a bar per label, most flagged first, and how many labels more there are than are drawn."""
    bars = [
        Bar(label.label, label.positives, label.negatives, label.unknown)
        for label in target.labels
        if not label.negative
    ]
    bars.sort(key=lambda bar: -bar.flagged)
    return bars[:MOST_BARS], max(len(bars) - MOST_BARS, 0)
