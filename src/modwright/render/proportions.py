"""Flagged proportions as bars, a group per answering model and a bar per judge; below, how far the judges agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.errors import MissingExtraError
from modwright.render.legends import Key, legend
from modwright.render.words import shortened

_DPI = 110
_INK, _GRID, _FAINT = "#22252a", "#e2e2e2", "#6b7076"
#: Told apart by most eyes, in this order.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
_MOST_NAME = 28
#: So many bars in a group, and the figures above them no longer fit.
_MOST_FIGURES = 5
#: Lines of agreement beyond so many cannot be told apart.
_MOST_PAIRS = 6
#: Of a legend's letters.
_CHARACTERS_PER_INCH = 12.0


@dataclass(frozen=True, slots=True)
class Share:
    """A share and its interval, all in 0..1; None where nothing is known."""

    value: float | None
    low: float | None
    high: float | None


def require_matplotlib() -> None:
    """Raise MissingExtraError where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtraError("data", "drawing the proportions") from None


def draw_proportions(
    flagged: Mapping[str, Mapping[str, Share]],
    agreement: Mapping[str, Mapping[str, Share]],
    title: str,
    paths: Sequence[Path],
) -> None:
    """Write the picture to every path, in the form its ending says (.svg, .png).

    Args:
        flagged: answering model to judge to the share it flags.
        agreement: answering model to pair of judges to the share of answers on which they agree; drawn as lines with
            points, for up to six pairs.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    judges = list(next(iter(flagged.values())))
    pairs = list(next(iter(agreement.values()), {}))[:_MOST_PAIRS]
    width = max(7.0, 1.2 + len(flagged) * max(1.0, 0.42 * len(judges)))
    figure = Figure(figsize=(width, 6.6 if pairs else 4.4), layout="constrained", facecolor="white")
    figure.suptitle(shortened(title, 90), fontsize=12, color=_INK, parse_math=False)
    if pairs:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
        _legend(width, lower, _lines(lower, agreement, pairs))
    else:
        upper = lower = figure.subplots()
    _legend(width, upper, _bars(upper, flagged, judges))
    names = [shortened(name, _MOST_NAME) for name in flagged]
    lower.set_xticks(range(len(names)), names, parse_math=False)
    margin = 1.2 if len(names) == 1 else 0.6
    lower.set_xlim(-margin, len(names) - 1 + margin)
    if sum(map(len, names)) > 11 * width:
        lower.tick_params(axis="x", rotation=20)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "modwright"}):
        for path in paths:
            kind = path.suffix.removeprefix(".")
            known = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(path, format=kind, dpi=_DPI, metadata=known)


def _bars(axes: Any, flagged: Mapping[str, Mapping[str, Share]], judges: Sequence[str]) -> list[Key]:
    _frame(axes, "flagged proportion")
    keys: list[Key] = []
    wide = 0.82 / max(len(judges), 1)
    highest = 0.0
    for place, judge in enumerate(judges):
        at = [group + (place - (len(judges) - 1) / 2) * wide for group in range(len(flagged))]
        shares = [found[judge] for found in flagged.values()]
        name, colour = shortened(judge, _MOST_NAME), _COLOURS[place % len(_COLOURS)]
        keys.append((axes.bar(at, [share.value or 0.0 for share in shares], 0.92 * wide, color=colour), name))
        for x, share in zip(at, shares, strict=True):
            highest = max(highest, _bar_top(axes, x, share, figures=len(judges) <= _MOST_FIGURES))
    axes.set_ylim(0, min(1.12, max(highest + 0.1, 0.1)))
    return keys


def _bar_top(axes: Any, x: float, share: Share, *, figures: bool) -> float:
    """Draw a bar's interval and figure; return where they end."""
    if share.value is None:
        axes.text(x, 0.01, "–", ha="center", va="bottom", color=_FAINT, fontsize=8)
        return 0.0
    top = share.value
    if share.low is not None and share.high is not None:
        axes.plot([x, x], [share.low, share.high], color=_INK, linewidth=1.1, solid_capstyle="butt")
        top = max(top, share.high)
    if figures:
        axes.text(
            x, top + 0.012, f"{100 * share.value:.0f}", ha="center", va="bottom", color=_INK, fontsize=8
        )
    return top


def _lines(axes: Any, agreement: Mapping[str, Mapping[str, Share]], pairs: Sequence[str]) -> list[Key]:
    _frame(axes, "agreement")
    keys: list[Key] = []
    lowest = 1.0
    for place, pair in enumerate(pairs):
        shares = [found.get(pair, Share(None, None, None)) for found in agreement.values()]
        values = [float("nan") if share.value is None else share.value for share in shares]
        shift = 0.05 * (place - (len(pairs) - 1) / 2)
        at = [group + shift for group in range(len(shares))]
        colour, name = _COLOURS[(place + 4) % len(_COLOURS)], shortened(pair, 2 * _MOST_NAME)
        (drawn,) = axes.plot(at, values, marker="o", markersize=4, linewidth=1.2, color=colour)
        keys.append((drawn, name))
        for x, share in zip(at, shares, strict=True):
            if share.low is not None and share.high is not None:
                axes.plot([x, x], [share.low, share.high], color=colour, linewidth=1.0, alpha=0.6)
                lowest = min(lowest, share.low)
    axes.set_ylim(max(0.0, lowest - 0.05), 1.02)
    return keys


def _frame(axes: Any, name: str) -> None:
    axes.set_ylabel(name, color=_INK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=_INK)


def _legend(width: float, axes: Any, keys: Sequence[Key]) -> None:
    """Write a frame's legend above it, in as many columns as the picture's width in inches holds."""
    longest = max((len(name) for _, name in keys), default=0) + 7
    legend(
        axes,
        keys,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=max(1, min(len(keys), int(_CHARACTERS_PER_INCH * (width - 1.0) / longest))),
    )
