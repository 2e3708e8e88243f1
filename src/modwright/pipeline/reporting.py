"""The report of an evaluation, gathered and written in all its forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modwright.evaluation.explorer import Explorer, explorers
from modwright.evaluation.metrics import SplitEvaluation
from modwright.evaluation.report import Report, report_html
from modwright.evaluation.report_forms import report_json, report_markdown
from modwright.evaluation.worst import MOST_ERRORS, worst_errors
from modwright.files import write_text_atomic
from modwright.pipeline.proof import Finding, Proof
from modwright.schema import TargetKind
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine

REPORT = "report.html"
REPORT_JSON = "report.json"
REPORT_MARKDOWN = "report.md"


def made_report(
    proof: Proof,
    evaluations: Mapping[str, SplitEvaluation],
    facts: Mapping[str, Any],
    notes: Sequence[str],
    findings: Sequence[Finding],
    *,
    most_errors: int = MOST_ERRORS,
) -> Report:
    """Gather what all forms of a report are made of; at most so many texts that are judged wrongly go along."""
    engine = proof.engine
    return Report(
        title=f"Evaluation of {proof.folder.name}",
        schema=engine.schema,
        evaluations=evaluations,
        point=engine.operating_point(DEFAULT_OPERATING_POINT),
        points=engine.operating_points,
        facts=facts,
        fitted_on=proof.fitted_on,
        explorers=_explorers(proof),
        sections=[section for finding in findings for section in finding.sections],
        errors=worst_errors(proof.splits.values(), most_errors),
        notes=notes,
    )


def _explorers(proof: Proof) -> list[Explorer]:
    engine = proof.engine
    points = {name: point.thresholds for name, point in engine.operating_points.items()}
    deployment = engine.operating_point(DEFAULT_OPERATING_POINT).prevalence
    return [
        one for split in proof.splits.values() for one in explorers(split, points, _bands(engine), deployment)
    ]


def _bands(engine: Engine) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the review bands that lie between two scores of one label: those of multi-label targets."""
    if engine.review is None:
        return {}
    multi = [target.name for target in engine.schema if target.kind is TargetKind.MULTI_LABEL]
    return {
        name: {label: (band.low, band.high) for label, band in engine.review.bands.get(name, {}).items()}
        for name in multi
    }


def write_report(out: Path, report: Report) -> tuple[Path, Path, Path]:
    """Write report.html, report.json and report.md into a folder; returns their paths."""
    write_text_atomic(out / REPORT, report_html(report))
    data = json.dumps(report_json(report), indent=1, ensure_ascii=False, allow_nan=False)
    write_text_atomic(out / REPORT_JSON, data + "\n")
    write_text_atomic(out / REPORT_MARKDOWN, report_markdown(report))
    return out / REPORT, out / REPORT_JSON, out / REPORT_MARKDOWN
