"""Training and validation loss over steps, one line per run, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import MissingExtraError
from modwright.render.legends import Key, legend
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

    One run stands in one frame: faint the loss of each step, full its running mean, dashed with dots the validation
    loss. Several stand in two frames of one scale, training and validation, each run in its colour.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("data", "drawing the losses") from None
    figure = Figure(figsize=_SIZE, layout="constrained", facecolor="white")
    _fill(figure, curves, title)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "modwright"}):
        for path in paths:
            kind = path.suffix.removeprefix(".")
            figure.savefig(
                path, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else {"Software": None}
            )


def _fill(figure: Any, curves: Sequence[LossCurve], title: str) -> None:
    """Draw one run into one frame, several into a frame for training and one for validation."""
    figure.suptitle(shortened(title, 90), fontsize=12, color=_INK, parse_math=False)
    if len(curves) == 1:
        axes = figure.subplots()
        _frame(axes, curves, "loss (mean masked log-loss)")
        keys = _train(axes, curves[0], _COLOURS[0], "training", faint=True)
        _legend(axes, keys + _valid(axes, curves[0], _COLOURS[1], "validation"))
        return
    left, right = figure.subplots(1, 2, sharey=True, sharex=True)
    _frame(left, curves, "training loss (mean masked log-loss)")
    _frame(right, curves, "validation loss")
    trained: list[Key] = []
    judged: list[Key] = []
    for place, curve in enumerate(curves):
        colour, name = _COLOURS[place % len(_COLOURS)], shortened(curve.name or "run", _MOST_NAME)
        trained += _train(left, curve, colour, name, faint=False)
        judged += _valid(right, curve, colour, name)
    _legend(left, trained)
    _legend(right, judged)


def _frame(axes: Any, curves: Sequence[LossCurve], name: str) -> None:
    last = max((step for curve in curves for step, _ in [*curve.train, *curve.valid]), default=0)
    axes.set_xlabel("step", color=_INK)
    axes.set_ylabel(name, color=_INK)
    axes.set_xlim(-0.02 * max(last, 1), 1.02 * max(last, 1))
    axes.set_ylim(0, _highest(curves))
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=_INK, labelleft=True)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _train(axes: Any, curve: LossCurve, colour: str, name: str, *, faint: bool) -> list[Key]:
    """Draw the training loss; return what its name stands for in the legend."""
    if not curve.train:
        return []
    points = np.asarray(curve.train, dtype=np.float64)
    smooth = points
    if len(points) > _FEW_POINTS:
        smooth = running_mean(points, len(points) // _SMOOTH_PARTS)
        if faint:
            axes.plot(*_binned(points, _MOST_POINTS).T, color=colour, linewidth=0.6, alpha=0.3)
    dot = "o" if len(points) == 1 else ""
    (drawn,) = axes.plot(*_binned(smooth, _MOST_POINTS).T, color=colour, marker=dot, linewidth=1.6)
    return [(drawn, name)]


def _valid(axes: Any, curve: LossCurve, colour: str, name: str) -> list[Key]:
    """Draw the validation loss; return what its name stands for in the legend."""
    if not curve.valid:
        return []
    points = np.asarray(curve.valid, dtype=np.float64)
    dot = "o" if len(points) <= _FEW_POINTS else ""
    (drawn,) = axes.plot(*points.T, color=colour, linestyle="--", marker=dot, markersize=4, linewidth=1.4)
    return [(drawn, name)]


def _legend(axes: Any, keys: Sequence[Key]) -> None:
    if not keys:
        axes.text(0.5, 0.5, "none so far", ha="center", transform=axes.transAxes, color=_INK)
        return
    legend(
        axes,
        keys,
        frameon=True,
        framealpha=0.8,
        edgecolor="none",
        fontsize=9,
        labelcolor=_INK,
        loc="upper right",
    )


def _highest(curves: Sequence[LossCurve]) -> float | None:
    """Return where the axis ends: above all validation losses, and all but the wildest training losses."""
    tops = [loss for curve in curves for _, loss in curve.valid]
    for curve in curves:
        train = np.asarray([loss for _, loss in curve.train])
        if len(train):
            tops.append(float(np.quantile(train, 0.99) if len(train) > _FEW_POINTS else train.max()))
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
