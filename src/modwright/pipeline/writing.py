"""The parts of an artifact put down in a folder, its manifest last, whichever way the model came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modwright import artifact as layout
from modwright.artifact import Artifact, BaseIdentity, write_manifest
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.metrics import SplitEvaluation
from modwright.evaluation.thresholds import OperatingPoint
from modwright.files import sha256_json, write_json, write_text_atomic
from modwright.pipeline.bases import portable
from modwright.pipeline.evaluate import write_metrics
from modwright.recipe import KeptRecipe
from modwright.schema import Classifier, Input, text_input

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
        calibration: per target.
        point: the operating point `default`.
        evaluations: per split; empty where nothing was measured.
        dataset_id: of the rows it learned from; empty where they are not known.
        card: the model card, Markdown.
    """

    family: str
    recipe: KeptRecipe
    classifier: Classifier
    bases: tuple[BaseIdentity, ...]
    calibration: Mapping[str, TargetCalibration]
    point: OperatingPoint
    evaluations: Mapping[str, SplitEvaluation]
    dataset_id: str
    card: str
    notes: Sequence[str] = ()


def write_artifact(staging: Path, parts: Parts) -> Artifact:
    """Write every file of an artifact into an empty folder, and return what its manifest says."""
    parts.classifier.save(staging)
    calibration = {target: value.to_json() for target, value in parts.calibration.items()}
    write_json(staging / layout.CALIBRATION, {"targets": calibration})
    point = parts.point
    write_json(staging / layout.THRESHOLDS, {"operating_points": {point.name: point.to_json()}})
    write_metrics(staging / layout.METRICS, parts.evaluations, None, parts.notes)
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


def recipe_hash(recipe: KeptRecipe) -> str:
    """Return the sha256 of a resolved recipe, the same on every machine."""
    return sha256_json(portable(recipe).deciding())


def probe(inputs: Sequence[Input]) -> list[Input]:
    """Return inputs that a reload is tried on: the given ones, one longer than any window, and an empty one."""
    together = " ".join(value[-1].content for value in inputs)
    repeated = together * (1 + _PROBED_CHARS // max(1, len(together)))
    return [*inputs, text_input(repeated[:_PROBED_CHARS]), text_input("")]


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
