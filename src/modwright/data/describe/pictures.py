"""The pictures of a dataset as PNG: per split the categories, flagged against not, and the labels' bars."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modwright.data.describe.description import Description, SplitCounts
from modwright.data.describe.shares import (
    FLAGGED,
    UNFLAGGED,
    UNKNOWN,
    Bar,
    Slice,
    category_slices,
    flag_slices,
    label_bars,
    label_colours,
)
from modwright.errors import MissingExtraError
from modwright.render.words import shortened

_DPI = 110
_WIDTHS = (4.6, 3.6, 7.8)
#: Of a pie with its title, a line of its legend, a frame of bars, and a bar.
_PIE_HEIGHT, _LINE_HEIGHT, _FRAME_HEIGHT, _BAR_HEIGHT = 2.9, 0.2, 1.3, 0.26
_MOST_NAME = 28
#: One or two bars are drawn as thin as of so many.
_LEAST_BARS = 5
_INK, _GRID = "#22252a", "#e2e2e2"


def draw_pictures(description: Description, folder: Path) -> list[Path]:
    """Write one PNG per target into a folder and return their paths; no text of the data is in them.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    paths = []
    for place, target in enumerate(description.schema.targets):
        path = folder / f"distribution-{place + 1}.png"
        # A script that no font here has is drawn as boxes, and that is enough.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*")
            _figure(description.splits, place, target.name).savefig(
                path, dpi=_DPI, bbox_inches="tight", pad_inches=0.2, metadata={"Software": None}
            )
        paths.append(path)
    return paths


def _figure(splits: Sequence[SplitCounts], place: int, name: str) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("data", "drawing pictures") from None
    targets = [split.targets[place] for split in splits]
    colours = label_colours(targets)
    bars = [label_bars(target) for target in targets]
    pies = [category_slices(target, colours) for target in targets]
    heights = [
        max(_PIE_HEIGHT + _LINE_HEIGHT * len(slices), _FRAME_HEIGHT + _BAR_HEIGHT * len(shown))
        for slices, (shown, _) in zip(pies, bars, strict=True)
    ]
    figure = Figure(figsize=(sum(_WIDTHS), sum(heights) + 0.5), layout="constrained", facecolor="white")
    figure.suptitle(shortened(name, 80), fontsize=14, color=_INK, parse_math=False)
    grid = figure.add_gridspec(len(splits), 3, width_ratios=_WIDTHS, height_ratios=heights)
    for row, (split, target) in enumerate(zip(splits, targets, strict=True)):
        title = f"{shortened(split.split, 24)}, {split.rows:,} rows"
        _pie(figure.add_subplot(grid[row, 0]), pies[row], f"{title}: categories")
        _pie(figure.add_subplot(grid[row, 1]), flag_slices(target), "flagged and not")
        _bars(figure.add_subplot(grid[row, 2]), *bars[row], "flagged and not, by label")
    return figure


def _pie(axes: Any, slices: Sequence[Slice], title: str) -> None:
    axes.set_title(title, fontsize=10, color=_INK, parse_math=False)
    axes.axis("off")
    axes.set_anchor("N")
    if not slices:
        axes.text(0.5, 0.5, "no rows", ha="center", transform=axes.transAxes, color=_INK)
        return
    wedges, _ = axes.pie(
        [part.rows for part in slices],
        colors=[part.colour for part in slices],
        startangle=90,
        counterclock=False,
        radius=1.15,
        wedgeprops={"width": 0.55, "edgecolor": "white", "linewidth": 1.2},
    )
    names = [f"{shortened(part.name, _MOST_NAME)}  {_share(part.share)}  ({part.rows:,})" for part in slices]
    legend = axes.legend(
        wedges,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        frameon=False,
        fontsize=8.5,
        labelcolor=_INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _bars(axes: Any, bars: Sequence[Bar], more: int, title: str) -> None:
    axes.set_title(title, fontsize=10, color=_INK, parse_math=False, loc="left")
    places = range(len(bars))
    left = [0] * len(bars)
    for name, colour, values in (
        ("not flagged", UNFLAGGED, [bar.unflagged for bar in bars]),
        ("flagged", FLAGGED, [bar.flagged for bar in bars]),
        ("unknown", UNKNOWN, [bar.unknown for bar in bars]),
    ):
        if any(values):
            axes.barh(places, values, left=left, color=colour, label=name, height=0.74)
        left = [before + value for before, value in zip(left, values, strict=True)]
    most = max(left, default=0) or 1
    for place, bar in enumerate(bars):
        known = bar.flagged + bar.unflagged
        share = f", {_share(bar.flagged / known)}" if known else ""
        axes.text(
            left[place] + most * 0.01, place, f"{bar.flagged:,}{share}", va="center", fontsize=8.5, color=_INK
        )
    axes.set_yticks(list(places), [shortened(bar.label, _MOST_NAME) for bar in bars], fontsize=8.5)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(max(len(bars), _LEAST_BARS) - 0.5, -0.5)
    axes.set_xlim(0, most * 1.22)
    axes.set_xlabel("rows" + (f"; {more:,} labels with fewer are left out" if more else ""), fontsize=8.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_major_locator(_whole_ticks())
    axes.tick_params(length=0, labelsize=8.5, colors=_INK)
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    if any(left):
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            fontsize=8.5,
            ncols=3,
            labelcolor=_INK,
        )


def _whole_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=6, integer=True)


def _share(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or share == 0 else "<0.1 %"
