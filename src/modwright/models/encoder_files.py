"""A trained encoder as files: weights that transformers reads, heads beside them, and the graph that serves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from modwright.artifact import MODEL, SERVING, TOKENIZER
from modwright.files import read_json, write_json
from modwright.models.encoder import (
    CLASSIFIER_FILE,
    CONFIG_FILE,
    HEADS_FILE,
    WEIGHTS_FILE,
    label_names,
)
from modwright.models.export_encoder import export_classifier
from modwright.models.tokens import TOKENIZER_FILE
from modwright.models.trunk import EncoderModel
from modwright.schema import Schema, TargetKind

#: Keys of a base's config that tell of where and by what it was made, not of what it computes.
_NOT_KEPT = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype")


def write_encoder(folder: Path, model: EncoderModel, schema: Schema, base_folder: Path) -> None:
    """Write `model/`, `tokenizer/` and `serving/` of a trained model; the layout is written beside them.

    Raises:
        MissingExtraError: the exporter is not installed.
        IntegrityError: the graph does not compute what torch computes.
    """
    from safetensors.torch import save_file

    (folder / MODEL).mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER).mkdir(parents=True, exist_ok=True)
    weights = {name: _plain(tensor) for name, tensor in model.trunk.state_dict().items()}
    save_file(weights, folder / MODEL / WEIGHTS_FILE, metadata={"format": "pt"})
    save_file(_heads(model, schema), folder / MODEL / HEADS_FILE)
    write_json(folder / MODEL / CONFIG_FILE, _config(model, schema, base_folder))
    shutil.copyfile(base_folder / TOKENIZER_FILE, folder / TOKENIZER / TOKENIZER_FILE)
    export_classifier(
        model,
        folder / SERVING / CLASSIFIER_FILE,
        config=model.trunk.config,
        takes_types=model.takes_types,
        scale=float(model.head.weight.detach().norm(dim=1).max()),
    )


def _plain(tensor: Any) -> Any:
    return tensor.detach().cpu().contiguous()


def _heads(model: EncoderModel, schema: Schema) -> dict[str, Any]:
    """Return each target's `weight` (L, D) and `bias` (L,)."""
    found, begin = {}, 0
    for target in schema:
        end = begin + len(target.labels)
        found[f"{target.name}.weight"] = _plain(model.head.weight[begin:end]).clone()
        found[f"{target.name}.bias"] = _plain(model.head.bias[begin:end]).clone()
        begin = end
    return found


def _config(model: EncoderModel, schema: Schema, base_folder: Path) -> dict[str, Any]:
    """Return the base's config with the labels' names; nothing in it tells of a machine or a version."""
    config = {
        key: value for key, value in read_json(base_folder / CONFIG_FILE).items() if key not in _NOT_KEPT
    }
    names = label_names(schema)
    single = len(schema.targets) == 1 and schema.targets[0].kind is TargetKind.SINGLE_LABEL
    return config | {
        "architectures": [type(model.trunk).__name__],
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
        "problem_type": "single_label_classification" if single else "multi_label_classification",
        "classifier_pooling": model.pooling,
    }
