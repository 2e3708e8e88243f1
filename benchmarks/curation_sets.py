"""The steps of the curation benchmark over every labelled data set that has labels in columns."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from common import data_file

TOXIC = ["toxicity", "insult", "obscene", "identity_attack", "threat", "other_toxicity"]
JIGSAW = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
ETHOS = [
    "violence",
    "directed_vs_generalized",
    "gender",
    "race",
    "national_origin",
    "disability",
    "religion",
    "sexual_orientation",
]
SETS: dict[str, dict[str, Any]] = {
    "ethos/binary.csv": {"text": "comment", "scores": ["isHate"], "threshold": ">= median", "delimiter": ";"},
    "ethos/multi_label.csv": {"text": "comment", "scores": ETHOS, "threshold": "> 0.5", "delimiter": ";"},
    "civil_comments/scores.csv": {"scores": TOXIC, "threshold": "> 0.5"},
    "jigsaw/train_sample.csv": {"text": "comment_text", "labels": JIGSAW},
    "davidson/labeled_data.csv": {"text": "tweet", "labels": ["class"], "negative": ["2"]},
    "context_toxicity/gc.csv": {"prompt": "parent", "response": "text", "labels": ["label"]},
    "surge/toxicity_en.csv": {"labels": ["is_toxic"], "negative": ["Not Toxic"]},
    "hatemoji/train.csv": {"labels": ["label_gold"]},
    "germeval2018/training.tsv": {
        "text": "column_1",
        "labels": ["column_2"],
        "negative": ["OTHER"],
        "quote": "none",
        "header": False,
    },
    "beavertails/dev.jsonl": {"labels": ["label"]},
    "beavertails/category_sample.csv": {"labels": ["category"]},
    "safe_rlhf/pairs.jsonl": {"labels": ["label"]},
    "xstest/completions.csv": {"prompt": "prompt", "response": "completion", "labels": ["final_label"]},
}
STEPS = [
    {"step": "exact_duplicates", "keep": "mean"},
    {"step": "near_duplicates", "threshold": 0.8},
    {"step": "cap", "zero_share": 0.5, "max_share": 0.5},
    {"step": "rare_labels", "min_share": 0.01},
]


def real_sets() -> list[dict[str, Any]]:
    """Build and export every set; return rows, labels, what was dropped and the seconds."""
    return [_built(name, mapping) for name, mapping in SETS.items()]


def _built(name: str, mapping: dict[str, Any]) -> dict[str, Any]:
    from modwright.data.dataset import read_dataset
    from modwright.data.export import ExportFormat, ExportOptions, export_dataset
    from modwright.pipeline.building import build_dataset
    from modwright.recipe import DataSection
    from modwright.settings import load_settings

    parts = {"train": 0.8, "validation": 0.1, "test": 0.1}
    recipe = DataSection.model_validate(
        {
            **mapping,
            "sources": [{"from": str(data_file(name)), "split": "train"}],
            "split": {"fractions": parts, "seed": 1, "near": 0.8},
            "steps": STEPS,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        out = Path(folder)
        build_dataset(recipe, out / "dataset", load_settings())
        dataset = read_dataset(out / "dataset")
        export_dataset(dataset, ExportOptions(ExportFormat.FACTORY, out / "jsonl"))
        seconds = time.perf_counter() - began
    log = [step for step in dataset.provenance["steps"] if step["step"] not in ("import", "split")]
    dropped = {step["step"]: sum(split["dropped"] for split in step["splits"].values()) for step in log}
    found = {
        "set": name,
        "rows": sum(source["rows"] for source in dataset.provenance["sources"]),
        "labels": sum(len(target.labels) for target in dataset.schema.targets),
        "labels_removed": sum(len(step.get("removed", {})) for step in log),
        "dropped": {step: number for step, number in dropped.items() if number},
        "kept": {split: len(frame) for split, frame in dataset.splits.items()},
        "seconds": round(seconds, 2),
    }
    print(found, flush=True)
    return found
