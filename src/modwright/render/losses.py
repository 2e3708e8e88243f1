"""Training and validation loss over steps, one line per run, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import MissingExtraError
from modwright.render.words import shortened
from modwright.schema import FloatArray

_SIZE, _DPI = (10.0, 5.4), 110
_INK, _GRID = "#22252a", "#e2e2e2"
#: Told apart by most eyes, in this order.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
_MOST_POINTS = 1_000
_MOST_NAME = 40
#: Steps of so many parts of a run are averaged into the smooth line.
_SMOOTH_PARTS = 40
_FEW_POINTS = 60


@dataclass(slots=True)
class LossCurve:
    """The losses of one run: step and loss of each point."""

    name: str
    train: list[tuple[int, float]] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)


def draw_losses(curves: Sequence[LossCurve], title: str, paths: Sequence[Path]) -> None:
    """Write the picture to every path, in the form its ending says (.svg, .png).

    Faint and thin is the loss of each step, a full line its running mean, a dashed one with dots the validation loss.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("data", "drawing the losses") from None
    figure = Figure(figsize=_SIZE, layout="constrained", facecolor="white")
    _fill(figure.add_subplot(), curves, title)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "modwright"}):
        for path in paths:
            kind = path.suffix.removeprefix(".")
            figure.savefig(
                path, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else {"Software": None}
            )


def _fill(axes: Any, curves: Sequence[LossCurve], title: str) -> None:
    for place, curve in enumerate(curves):
        _one(axes, curve, _COLOURS[place % len(_COLOURS)], alone=len(curves) == 1)
    axes.set_title(shortened(title, 90), fontsize=12, color=_INK, parse_math=False, loc="left")
    axes.set_xlabel("step", color=_INK)
    axes.set_ylabel("loss (mean masked log-loss)", color=_INK)
    axes.set_ylim(0, _highest(curves))
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=_INK)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if any(curve.train or curve.valid for curve in curves):
        _legend(axes)
    else:
        axes.text(0.5, 0.5, "no steps yet", ha="center", transform=axes.transAxes, color=_INK)


def _one(axes: Any, curve: LossCurve, colour: str, *, alone: bool) -> None:
    name = shortened(curve.name, _MOST_NAME)
    before = "" if alone or not name else f"{name}: "
    if curve.train:
        points = np.asarray(curve.train, dtype=np.float64)
        dense = len(points) > _FEW_POINTS
        if dense:
            axes.plot(*_binned(points, _MOST_POINTS).T, color=colour, linewidth=0.6, alpha=0.3)
        smooth = running_mean(points, max(1, len(points) // _SMOOTH_PARTS)) if dense else points
        axes.plot(
            *_binned(smooth, _MOST_POINTS).T, color=colour, linewidth=1.6, label=f"{before}training loss"
        )
    if curve.valid:
        axes.plot(
            *np.asarray(curve.valid, dtype=np.float64).T,
            color=colour if not alone else _COLOURS[1],
            linestyle="--",
            marker="o",
            markersize=4,
            linewidth=1.4,
            label=f"{before}validation loss",
        )


def _legend(axes: Any) -> None:
    legend = axes.legend(
        frameon=False,
        fontsize=8.5,
        labelcolor=_INK,
        ncols=1,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _highest(curves: Sequence[LossCurve]) -> float | None:
    """Return where the axis ends: above all validation losses and nearly all training losses."""
    valid = [loss for curve in curves for _, loss in curve.valid]
    train = [loss for curve in curves for _, loss in curve.train]
    tops = [float(np.max(valid))] if valid else []
    tops += [float(np.quantile(train, 0.99))] if train else []
    return 1.08 * max(tops) if tops and max(tops) > 0 else None


def running_mean(points: FloatArray, width: int) -> FloatArray:
    """Return points (K, 2) whose second column is the mean over the last `width` of them, fewer at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(points[:, 1])])
    ends = np.arange(1, len(points) + 1)
    begins = np.maximum(0, ends - width)
    return np.stack([points[:, 0], (sums[ends] - sums[begins]) / (ends - begins)], axis=1)


def _binned(points: FloatArray, most: int) -> FloatArray:
    """Return at most so many points: the means of neighbours, the last one kept."""
    if len(points) <= most:
        return points
    width = -(-len(points) // (most - 1))
    starts = np.arange(0, len(points), width)
    counts = np.diff(np.append(starts, len(points)))
    means = np.add.reduceat(points, starts, axis=0) / counts[:, None]
    return np.vstack([means, points[-1:]])
