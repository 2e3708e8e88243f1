"""The evaluation report: one HTML file that needs nothing else, no network and no JavaScript.

What users named (targets, labels, splits, facts) is escaped, isolated in its own direction, and never part of
an id, a class or an address; a content security policy in the file forbids it to load or run anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment

from modwright.evaluation import charts, wording
from modwright.evaluation.binary import BINS, MIN_BIN_ROWS
from modwright.evaluation.metrics_file import ECE_METHOD
from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import MIN_EVIDENCE, LabelEvaluation, SplitEvaluation, TargetEvaluation
from modwright.evaluation.thresholds import OperatingPoint
from modwright.evaluation.wording import SummaryRow, summary_rows
from modwright.render import pages
from modwright.render.words import number
from modwright.schema import Schema

__all__ = ["SummaryRow", "render_report", "summary_rows"]


def render_report(
    title: str,
    evaluations: Mapping[str, SplitEvaluation],
    schema: Schema,
    operating_point: OperatingPoint,
    facts: Mapping[str, Any],
    fitted_on: Collection[str] = (),
) -> str:
    """Return the report as one HTML document; the same arguments give the same bytes.

    Args:
        title: such as the model's name.
        evaluations: by split name, in the order of the report.
        operating_point: whose thresholds the evaluated flags were made with.
        facts: about data and recipe, shown as they are: name to text, number, list or a mapping of such.
        fitted_on: splits that hold rows the model was fitted on; they are marked as flattering.
    """
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            evaluations=evaluations,
            schema=schema,
            point=operating_point,
            facts=facts,
            fitted_on=fitted_on,
            limits={"evidence": MIN_EVIDENCE, "bins": BINS, "bin_rows": MIN_BIN_ROWS, "ece": ECE_METHOD},
        )
    )


@cache
def _environment() -> Environment:
    made = pages.environment(
        "modwright.evaluation", {"measured": _measured, "span": wording.span, "threshold": wording.threshold}
    )
    made.globals |= {"charts": charts, "wording": wording, "order": _order}
    return made


def _measured(interval: Interval) -> str:
    return number(interval.value, wording.decimals(interval))


def _order(target: TargetEvaluation) -> dict[str, list[LabelEvaluation]]:
    """Return the labels as tables list them: ranked, negative, and those without enough evidence."""
    rest = [label for label in target.labels.values() if not label.ranked]
    return {
        "ranked": [target.labels[name] for name in target.ranking],
        "negative": [label for label in rest if label.enough],
        "thin": [label for label in rest if not label.enough],
    }
