"""The report for machines and for pull requests: report.json and report.md. Neither holds a text of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modwright.evaluation import summary
from modwright.evaluation.metrics_file import metrics_json
from modwright.evaluation.report import Report, cell_text
from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import SplitEvaluation
from modwright.evaluation.sections import Cell, Section, Table, sections_json
from modwright.evaluation.wording import drawn_from, summary_rows, threshold, with_interval
from modwright.render import markdown
from modwright.render.markdown import plain
from modwright.schema import Schema

FORMAT = "modwright-report"
FORMAT_VERSION = 1
#: Rows of a table that report.md shows.
MOST_ROWS = 15


def report_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON-ready data: what it says, the figures, thresholds, sections and errors by row id."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": report.title,
        "operating_point": report.point.name,
        "summary": {
            "splits": summary.sentences(report.schema, report.evaluations),
            "warnings": _warnings(report),
            "headlines": summary.headlines(report.sections),
        },
        "metrics": metrics_json(report.evaluations),
        "operating_points": {name: point.to_json() for name, point in report.points.items()},
        "explorers": [found.to_json() for found in report.explorers],
        "sections": sections_json(report.sections),
        "errors": [
            {"count": one.count, "rows": [error.to_json() for error in one.errors]} for one in report.errors
        ],
        "facts": dict(report.facts),
        "notes": list(report.notes),
    }


def report_markdown(report: Report) -> str:
    """Return the report as Markdown for a pull request: what it says, the figures, and the sections' tables, cut short."""
    parts = [f"# {plain(report.title)}", *told_figures(report.schema, report.evaluations)]
    warned = [
        f"- **{plain(split)}**: {plain(text)}" for split, texts in _warnings(report).items() for text in texts
    ]
    if warned:
        parts += ["## Before relying on it", "\n".join(warned)]
    found = summary.headlines(report.sections)
    if found:
        parts.append("\n".join(f"- {plain(sentence)}" for sentence in found))
    parts += _points(report)
    for section in report.sections:
        parts += _section(section)
    if report.notes:
        parts += ["## Notes", "\n".join(f"- {plain(note)}" for note in report.notes)]
    return "\n\n".join(parts) + "\n"


def told_figures(schema: Schema, evaluations: Mapping[str, SplitEvaluation]) -> list[str]:
    """Return what the evaluations say, in sentences per split and as a table: what a model card shows, too."""
    told = summary.sentences(schema, evaluations)
    parts: list[str] = []
    for split, evaluation in evaluations.items():
        lines = [f"- **{plain(split)}**: {plain(sentence)}" for sentence in told[split]]
        parts.append("\n".join([*lines, f"- **{plain(split)}**: {drawn_from(evaluation)}"]))
    return [*parts, figures_table(evaluations)]


def figures_table(evaluations: Mapping[str, SplitEvaluation]) -> str:
    """Return a line per split, target and label with its figures, intervals beside them."""
    columns = (
        "split",
        "target",
        "label",
        "rows",
        "positives",
        "F1",
        "flag all",
        "ROC-AUC",
        "calibration error",
        "note",
    )
    rows = [
        (
            *(row.split, row.target, row.label, row.rows, row.positives, row.f1, row.always_flag_f1),
            *(row.roc_auc, row.ece, row.note),
        )
        for row in summary_rows(evaluations)
    ]
    return markdown.table(columns, [[plain(cell) for cell in row] for row in rows])


def _warnings(report: Report) -> dict[str, list[str]]:
    found = {
        split: summary.warnings(report.schema, split, evaluation, report.fitted_on)
        for split, evaluation in report.evaluations.items()
    }
    return {split: sentences for split, sentences in found.items() if sentences}


def _points(report: Report) -> list[str]:
    """Return what every operating point gives in every split, per label."""
    rows = []
    for found in report.explorers:
        for name, act in found.points.items():
            outcome = found.outcome(act, found.deployment)
            names = (found.split, found.target, found.label, name)
            rates = (with_interval(outcome.precision), with_interval(outcome.recall))
            shares = (str(round(1000 * share)) for share in (outcome.flagged, outcome.missed))
            rows.append([plain(cell) for cell in (*names, threshold(act), *rates, *shares)])
    columns = ("split", "target", "label", "operating point", "flagged from", "precision", "recall")
    counts = ("flagged of 1,000", "missed of 1,000")
    return ["## Operating points", markdown.table((*columns, *counts), rows)] if rows else []


def _section(section: Section) -> list[str]:
    parts = [f"## {plain(section.title)}", *([plain(section.intro)] if section.intro else [])]
    for table in section.tables:
        if not table.hidden:
            parts += _table(table)
    parts += [f"*{plain(figure.title)}*: {plain(figure.alt)}" for figure in section.figures]
    if section.notes:
        parts.append("\n".join(f"- {plain(note)}" for note in section.notes))
    return parts


def _table(table: Table) -> list[str]:
    rows = [[plain(_cell(cell)) for cell in row] for row in table.rows[:MOST_ROWS]]
    parts = [f"**{plain(table.title)}** {plain(table.note)}".strip(), markdown.table(table.columns, rows)]
    if len(table.rows) > MOST_ROWS:
        parts.append(f"{len(table.rows) - MOST_ROWS} more rows are in report.html.")
    return parts


def _cell(cell: Cell) -> str:
    return with_interval(cell) if isinstance(cell, Interval) else cell_text(cell)
