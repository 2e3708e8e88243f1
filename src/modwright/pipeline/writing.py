"""The parts of an artifact put down in a folder, its manifest last, whichever way the model came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modwright import artifact as layout
from modwright.artifact import Artifact, BaseIdentity, write_manifest
from modwright.evaluation.decisions import Decisions
from modwright.evaluation.metrics import SplitEvaluation
from modwright.files import sha256_json, write_json, write_text_atomic
from modwright.pipeline.bases import portable
from modwright.pipeline.card import model_card
from modwright.pipeline.evaluate import write_metrics
from modwright.recipe import KeptRecipe, Recipe
from modwright.schema import Classifier, Input, text_input
from modwright.serving.engine import Engine
from modwright.training.fitted import Fitted

_PROBED = 8
_PROBED_CHARS = 4_000
_PACKAGES = (
    *("modwright", "numpy", "onnx", "onnxruntime", "onnxscript", "peft", "safetensors", "tokenizers"),
    *("torch", "transformers"),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What an artifact is made of.

    Attributes:
        family: that reads it.
        recipe: as it was run; a base's path on this machine is not kept.
        bases: in the recipe's order.
        decisions: calibration, operating points and review band.
        evaluations: per split; empty where nothing was measured.
        dataset_id: of the rows it learned from; empty where they are not known.
        card: the model card, Markdown.
    """

    family: str
    recipe: KeptRecipe
    classifier: Classifier
    bases: tuple[BaseIdentity, ...]
    decisions: Decisions
    evaluations: Mapping[str, SplitEvaluation]
    dataset_id: str
    card: str


def parts_of(
    fitted: Fitted,
    name: str,
    recipe: Recipe,
    bases: tuple[BaseIdentity, ...],
    *,
    counts: Mapping[str, int],
    evaluations: Mapping[str, SplitEvaluation],
    dataset_id: str,
) -> Parts:
    """Return what the artifact of a training is made of; `name` and the `counts` of rows per split are for its card."""
    schema = fitted.classifier.schema
    card = model_card(name, schema, bases, recipe, counts, evaluations, fitted.decisions, fitted.unseen.name)
    return Parts(
        family=recipe.family,
        recipe=recipe,
        classifier=fitted.classifier,
        bases=bases,
        decisions=fitted.decisions,
        evaluations=evaluations,
        dataset_id=dataset_id,
        card=card,
    )


def engine_of(fitted: Fitted) -> Engine:
    """Return what a training came to as what judges inputs, before it is an artifact."""
    return Engine.of("in training", fitted.classifier, fitted.decisions)


def write_artifact(staging: Path, parts: Parts) -> Artifact:
    """Write every file of an artifact into an empty folder, and return what its manifest says."""
    parts.classifier.save(staging)
    write_decisions(staging, parts.decisions)
    write_metrics(staging / layout.METRICS, parts.evaluations, None, ())
    write_text_atomic(staging / layout.RECIPE, portable(parts.recipe).to_toml())
    write_text_atomic(staging / layout.CARD, parts.card)
    return write_manifest(
        staging,
        family=parts.family,
        schema=parts.classifier.schema,
        bases=parts.bases,
        dataset_id=parts.dataset_id,
        recipe_hash=recipe_hash(parts.recipe),
        packages=_packages(),
    )


def write_decisions(folder: Path, decisions: Decisions) -> None:
    """Write calibration.json and thresholds.json."""
    calibration = {target: value.to_json() for target, value in decisions.calibration.items()}
    decided_on = None if decisions.decided_on is None else decisions.decided_on.to_json()
    write_json(folder / layout.CALIBRATION, {"targets": calibration, "decided_on": decided_on})
    points = {name: point.to_json() for name, point in decisions.points.items()}
    review = None if decisions.review is None else decisions.review.to_json()
    write_json(folder / layout.THRESHOLDS, {"operating_points": points, "review": review})


def recipe_hash(recipe: KeptRecipe) -> str:
    """Return the sha256 of a resolved recipe, the same on every machine."""
    return sha256_json(portable(recipe).deciding())


def probe(*rows: Sequence[Input]) -> list[Input]:
    """Return inputs that a reload is tried on: some of each sequence, one longer than any window, and an empty one."""
    some = [value for inputs in rows for value in inputs[:_PROBED]]
    together = " ".join(value[-1].content for value in some)
    repeated = together * (1 + _PROBED_CHARS // max(1, len(together)))
    return [*some, text_input(repeated[:_PROBED_CHARS]), text_input("")]


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
