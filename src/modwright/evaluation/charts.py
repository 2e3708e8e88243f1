"""The report's drawings of one label: ROC curve, PR curve, reliability diagram, interval bar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from modwright.evaluation.binary import Metric
from modwright.evaluation.curves import ReliabilityBin
from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import LabelEvaluation
from modwright.evaluation.wording import with_interval
from modwright.render.svg import Plot, decoration, element, picture
from modwright.render.words import number
from modwright.schema import FloatArray

_BAR_WIDTH, _BAR_HEIGHT = 112.0, 14.0
#: A diagram whose scores all lie low is drawn up to the first of these that holds them.
_LIMITS = (0.1, 0.2, 0.4, 1.0)


def roc(label: LabelEvaluation) -> Markup | None:
    """Draw the ROC curve; None without both classes."""
    if label.curves is None or label.curves.roc is None:
        return None
    plot, points = Plot("false alarms among negatives", "found among positives"), label.curves.roc
    area = with_interval(label.metrics[Metric.ROC_AUC])
    marks = [
        plot.axes(),
        plot.area(points, "area"),
        plot.line((0, 0), (1, 1), "baseline"),
        plot.curve(points, "curve"),
    ]
    if label.confusion is not None and label.positives and label.negatives:
        marks.append(
            plot.dot(
                label.confusion[0, 1] / label.negatives, label.confusion[1, 1] / label.positives, 4.5, "point"
            )
        )
    return picture(
        plot.width, plot.height, f"ROC curve; area under it {area}; the diagonal is guessing", *marks
    )


def pr(label: LabelEvaluation) -> Markup | None:
    """Draw the precision-recall curve as the steps that average precision sums; None without positives."""
    if label.curves is None or label.curves.pr is None:
        return None
    plot, share = Plot("recall", "precision"), label.positives / label.known
    points = _steps(label.curves.pr)
    area = with_interval(label.metrics[Metric.AVERAGE_PRECISION])
    marks = [
        plot.axes(),
        plot.area(points, "area"),
        plot.line((0, share), (1, share), "baseline"),
        plot.curve(points, "curve"),
    ]
    if label.confusion is not None and label.confusion[:, 1].sum():
        hits = label.confusion[1, 1]
        marks.append(plot.dot(hits / label.positives, hits / label.confusion[:, 1].sum(), 4.5, "point"))
    told = f"PR curve; average precision {area}; the dashed line is the prevalence, {number(share)}"
    return picture(plot.width, plot.height, told, *marks)


def _steps(points: FloatArray) -> FloatArray:
    """Return recall and precision as level steps: each precision holds from the recall before to its own."""
    begins = np.stack([np.concatenate([[0.0], points[:-1, 0]]), points[:, 1]], axis=1)
    return np.stack([begins, points], axis=1).reshape(-1, 2)


def reliability(label: LabelEvaluation) -> Markup | None:
    """Draw how often the label holds against its mean score, bin by bin; None without known rows."""
    if label.curves is None:
        return None
    bins = label.curves.bins
    limit = reliability_limit(bins)
    plot, most = Plot("score", "share that holds", limit), max(found.rows for found in bins)
    marks = [plot.axes(), plot.line((0, 0), (limit, limit), "baseline")]
    for found in bins:
        marks += [
            plot.bar(found.score, 16 * found.rows / most, 5, "rows"),
            plot.line((found.score, found.low), (found.score, found.high), "spread"),
            plot.dot(found.score, found.rate, 3.5, "mark"),
        ]
    error = with_interval(label.metrics[Metric.ECE])
    told = f"Reliability diagram; calibration error {error}; the diagonal is perfect"
    return picture(plot.width, plot.height, told, *marks)


def reliability_limit(bins: Sequence[ReliabilityBin]) -> float:
    """Return up to where the diagram's axes run."""
    highest = max(max(found.score, found.high) for found in bins)
    return next(limit for limit in _LIMITS if highest <= limit or limit == _LIMITS[-1])


def interval_bar(interval: Interval, baseline: float | None = None) -> Markup:
    """Draw a value in 0..1 with its interval on a line, and a tick where the baseline lies."""
    middle, margin = _BAR_HEIGHT / 2, 4.0

    def x(value: float) -> float:
        return margin + (_BAR_WIDTH - 2 * margin) * min(max(value, 0.0), 1.0)

    marks = [element("line", x1=x(0), y1=middle, x2=x(1), y2=middle, class_="track")]
    if baseline is not None:
        marks.append(
            element("line", x1=x(baseline), y1=1, x2=x(baseline), y2=_BAR_HEIGHT - 1, class_="tickmark")
        )
    if interval.low is not None and interval.high is not None:
        marks.append(
            element("line", x1=x(interval.low), y1=middle, x2=x(interval.high), y2=middle, class_="interval")
        )
    if interval.value is not None:
        marks.append(element("circle", cx=x(interval.value), cy=middle, r=3.2, class_="value"))
    return decoration(_BAR_WIDTH, _BAR_HEIGHT, *marks)
