"""The report as data, and its form as one HTML file that needs nothing else: no network, no other script than its own.

What users named or wrote (targets, labels, splits, facts, texts) is escaped, isolated in its own direction, and never
part of an id, a class, an address or a script; a content security policy in the file forbids it to load anything and to
run anything but the one script whose hash it names. Without that script, and on paper, everything but the slider is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from modwright.evaluation import charts, summary, wording, worst
from modwright.evaluation.binary import BINS, MIN_BIN_ROWS
from modwright.evaluation.explorer import Explorer
from modwright.evaluation.metrics_file import ECE_METHOD
from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import MIN_EVIDENCE, LabelEvaluation, SplitEvaluation, TargetEvaluation
from modwright.evaluation.sections import Cell, Section
from modwright.evaluation.thresholds import OperatingPoint
from modwright.evaluation.wording import SummaryRow, summary_rows
from modwright.evaluation.worst import ErrorList
from modwright.render import pages
from modwright.render.words import count, number, shown
from modwright.schema import Schema

__all__ = ["Report", "SummaryRow", "report_html", "summary_rows"]

#: Labels whose curves are drawn, over all splits; the figures of every label are in the tables.
MOST_DRAWN = 60
_SCRIPT = "explorer.js"


@dataclass(frozen=True, slots=True)
class Report:
    """What all forms of a report are made of.

    Attributes:
        title: such as the model's name.
        evaluations: by split name, in the order of the report.
        point: the operating point whose flags were evaluated.
        points: all of them by name, that one included.
        facts: about data and recipe, shown as they are: name to text, number, list or a mapping of such.
        fitted_on: splits that hold rows the model was fitted on; they are marked as flattering.
        explorers: thresholds per split and label.
        sections: of further measurements.
        errors: the worst ones; their texts stand in the HTML form only, closed.
        notes: what a reader must know.
    """

    title: str
    schema: Schema
    evaluations: Mapping[str, SplitEvaluation]
    point: OperatingPoint
    points: Mapping[str, OperatingPoint]
    facts: Mapping[str, Any]
    fitted_on: Collection[str] = ()
    explorers: Sequence[Explorer] = ()
    sections: Sequence[Section] = ()
    errors: Sequence[ErrorList] = ()
    notes: Sequence[str] = field(default=())


def report_html(report: Report) -> str:
    """Return the report as one HTML document; the same report gives the same bytes."""
    environment = _environment()
    script = _script(environment) if report.explorers else ""
    return environment.get_template("report.html").render(
        report=report,
        evaluations=report.evaluations,
        schema=report.schema,
        point=report.point,
        fitted_on=report.fitted_on,
        headlines=summary.headlines(report.sections),
        drawn=drawn(report),
        script=Markup(script),
        policy=Markup(f"; script-src '{script_hash(script)}'" if script else ""),
        data=island([_for_script(found) for found in report.explorers]),
        limits={"evidence": MIN_EVIDENCE, "bins": BINS, "bin_rows": MIN_BIN_ROWS, "ece": ECE_METHOD},
    )


def _for_script(found: Explorer) -> dict[str, Any]:
    """Return what the script needs: counts, and the names of operating points, which become text."""
    data = found.to_json()
    data["points"] = {shown(name): place for name, place in data["points"].items()}
    return {name: part for name, part in data.items() if name not in ("split", "target", "label")}


def script_hash(script: str) -> str:
    """Return what a content security policy calls a script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def island(data: Any) -> Markup:
    """Return data as JSON that can stand in a script element of data: nothing in it ends the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII: no line separators either
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def drawn(report: Report) -> set[tuple[str, str, str]]:
    """Return which labels' curves are drawn, as split, target and label: those with the most evidence, if too many."""
    found = [
        (min(label.positives, label.negatives), split, target.target, label.label)
        for split, evaluation in report.evaluations.items()
        for target in evaluation.targets.values()
        for label in target.labels.values()
    ]
    found.sort(key=lambda one: -one[0])
    return {(split, target, label) for _, split, target, label in found[:MOST_DRAWN]}


@cache
def _environment() -> Environment:
    filters: dict[str, Callable[..., Any]] = {
        "band": wording.band,
        "cell": cell_text,
        "measured": _measured,
        "span": wording.span,
        "threshold": wording.threshold,
    }
    made = pages.environment("modwright.evaluation", filters)
    made.globals |= {
        "charts": charts,
        "excerpt": worst.excerpt,
        "is_interval": lambda cell: isinstance(cell, Interval),
        "order": _order,
        "summary": summary,
        "wording": wording,
    }
    return made


@cache
def _script(environment: Environment) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, _SCRIPT)[0]


def _measured(interval: Interval) -> str:
    return number(interval.value, wording.decimals(interval))


def cell_text(cell: Cell) -> str:
    """Return a table's cell as text: a count, a number, an interval's value, a dash where nothing is defined."""
    if isinstance(cell, Interval):
        return _measured(cell)
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return count(cell)
    return number(cell, 3)


def _order(target: TargetEvaluation) -> dict[str, list[LabelEvaluation]]:
    """Return the labels as tables list them: ranked, negative, and those without enough evidence."""
    rest = [label for label in target.labels.values() if not label.ranked]
    return {
        "ranked": [target.labels[name] for name in target.ranking],
        "negative": [label for label in rest if label.enough],
        "thin": [label for label in rest if not label.enough],
    }
