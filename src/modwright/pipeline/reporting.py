"""The report of an evaluation, gathered and written in all its forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modwright.evaluation.cuts import NEVER
from modwright.evaluation.explorer import Explorer, explorers
from modwright.evaluation.metrics import SplitEvaluation
from modwright.evaluation.report import Report, report_html
from modwright.evaluation.report_forms import report_json, report_markdown
from modwright.evaluation.review import LabelBand, ReviewBand, TooFew
from modwright.evaluation.worst import MOST_ERRORS, worst_errors
from modwright.files import write_text_atomic
from modwright.pipeline.proof import Finding, Proof
from modwright.recipe import FrozenRecipe, ImportRecipe, KeptRecipe
from modwright.schema import TargetKind
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine

REPORT = "report.html"
REPORT_JSON = "report.json"
REPORT_MARKDOWN = "report.md"


def made_report(
    proof: Proof,
    recipe: KeptRecipe,
    evaluations: Mapping[str, SplitEvaluation],
    notes: Sequence[str],
    findings: Sequence[Finding],
    *,
    most_errors: int = MOST_ERRORS,
) -> Report:
    """Gather what all forms of a report are made of; at most so many texts that are judged wrongly go along."""
    engine = proof.engine
    return Report(
        title=f"Evaluation of {proof.folder.resolve().name}",
        schema=engine.schema,
        evaluations=evaluations,
        point=engine.operating_point(DEFAULT_OPERATING_POINT),
        points=engine.operating_points,
        facts=_facts(proof, recipe),
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
    default = engine.operating_point(DEFAULT_OPERATING_POINT).thresholds
    return {name: seen_between(engine.review, name, default[name]) for name in multi}


def seen_between(
    review: ReviewBand, target: str, flagged_from: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Return from which score on people look, and from which on it is flagged, by label of a multi-label target.

    A label without a promise that is to be left out sends people only what it flags at the operating point `default`;
    one that neither does so nor acts is not there. Where no other label ever says anything, people look at all that it
    does not decide.

    Args:
        flagged_from: label to its threshold at `default`.
    """
    bands = review.bands.get(target, {})
    left_out = review.promise.too_few is TooFew.LEAVE_OUT
    found = {}
    for label, band in bands.items():
        alone = not any(_says(other) for name, other in bands.items() if name != label)
        if band.promised or alone or not left_out:
            found[label] = (band.low, band.high)
        elif (review_from := min(band.high, max(band.low, flagged_from.get(label, NEVER)))) <= 1:
            found[label] = (review_from, band.high)
    return found


def _says(band: LabelBand) -> bool:
    """Return whether a band lets any score pass, or flags any."""
    return band.low > 0 or band.high <= 1


def write_report(out: Path, report: Report) -> tuple[Path, Path, Path]:
    """Write report.html, report.json and report.md into a folder; returns their paths."""
    write_text_atomic(out / REPORT, report_html(report))
    data = json.dumps(report_json(report), indent=1, ensure_ascii=False, allow_nan=False)
    write_text_atomic(out / REPORT_JSON, data + "\n")
    write_text_atomic(out / REPORT_MARKDOWN, report_markdown(report))
    return out / REPORT, out / REPORT_JSON, out / REPORT_MARKDOWN


def _facts(proof: Proof, recipe: KeptRecipe) -> dict[str, Any]:
    """Return what the report says of data and recipe, in reading order."""
    artifact, decided_on = proof.artifact, proof.engine.decided_on
    chosen_on = "not kept" if decided_on is None else f"{decided_on.split}, {decided_on.rows:,} rows"
    rows = {name: len(split) for name, split in proof.splits.items()}
    return {
        "Model": {
            "artifact": artifact.id[:16],
            "family": artifact.family,
            "bases": [f"{base.name} ({base.licence})" for base in artifact.bases],
            "trained on dataset": artifact.dataset_id[:16],
            "calibration and thresholds chosen on": chosen_on,
        },
        "Evaluated": {"rows": rows},
        "Recipe": {"seed": recipe.seed, **_choices(recipe), "bootstrap resamples": proof.resamples},
    }


def _choices(recipe: KeptRecipe) -> dict[str, Any]:
    """Return what of a recipe a reader of the report asks for first."""
    if isinstance(recipe, ImportRecipe):
        return {
            "brought in": recipe.base.name,
            "pairs as": recipe.input.pair,
            "threshold": recipe.decision.threshold,
        }
    if isinstance(recipe, FrozenRecipe):
        return {
            "layers": [f"{base.name}: {', '.join(map(str, base.layers))}" for base in recipe.bases],
            "heads tried": list(recipe.head.kinds),
            "folds": recipe.head.folds,
        }
    held = recipe.validation
    chosen = f"{held.folds} folds" if held.method == "folds" else "a held-out part"
    return {
        "epochs": recipe.training.epochs,
        "learning rate": recipe.optimizer.learning_rate,
        "calibration and thresholds from": chosen,
    }
