"""The `causal` family: a decoder LLM that is asked, and whose answer is read from the logits of label words, or a head.

model/causal.json           prompts, windows, adapter's scale: everything that is no weight
model/config.json           of the base
model/model*.safetensors    the base's weights (or, trained in full, this model's): one file, or several with their index
model/adapter.safetensors   low-rank adapters, where there are some
model/heads.safetensors     linear heads, where there are some
tokenizer/tokenizer.json
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from modwright.artifact import MODEL, TOKENIZER
from modwright.catalog.weights import INDEX, weight_files
from modwright.errors import ArtifactError
from modwright.files import link_or_copy, read_json, write_json
from modwright.models.adapters import ADAPTER_FILE, merge
from modwright.models.answers import Answers, Network, heads_of
from modwright.models.decoder import load_causal, torch
from modwright.models.gguf import clean_config
from modwright.models.prompts import Prompts
from modwright.models.reading import reading_model
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.models.windows import WindowRule, combine
from modwright.recipe import PromptRecipe
from modwright.schema import FloatArray, Input, IntArray, Schema, Scores, check_keys

LAYOUT_FILE = "causal.json"
HEADS_FILE = "heads.safetensors"
CONFIG_FILE = "config.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a classifier's weights came from, and so what saving it writes.

    Attributes:
        base: a folder with config.json and safetensors, which are linked or copied.
        adapter: tensors that were merged into the base's weights; empty without adapters.
        scale: alpha / rank of the adapters.
        tokenizer: the file.
        full: the weights are the model's own, not the base's: they are written out.
    """

    base: Path
    adapter: Mapping[str, Any]
    scale: float
    tokenizer: Path
    full: bool = False


@dataclass(frozen=True, slots=True)
class CausalClassifier:
    """Prompts and a network; see `modwright.schema.Classifier` for the contract.

    Attributes:
        schema: targets in the order of the scores.
        answers: adapters merged in.
        rule: windows of the last turn, in tokens of the text alone.
        max_batch_tokens: computed at once.
        kept: what saving writes.
    """

    schema: Schema
    answers: Answers
    rule: WindowRule
    max_batch_tokens: int
    kept: Kept

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score whole documents, before calibration."""
        self.answers.network.eval()
        with torch.inference_mode():
            return score(self.answers, self.schema, self.rule, inputs, self.max_batch_tokens)

    def save(self, folder: Path) -> None:
        """Write weights, layout and tokenizer below an artifact folder."""
        model = folder / MODEL
        model.mkdir(parents=True, exist_ok=True)
        network = self.answers.network
        if self.kept.full:
            network.lm.save_pretrained(model)
            (model / "generation_config.json").unlink(missing_ok=True)
        else:
            for name in weight_files(self.kept.base):
                # Weights may share their bytes with other folders; what a person might edit has its own.
                place = shutil.copyfile if name == INDEX else link_or_copy
                place(self.kept.base / name, model / name)
            shutil.copyfile(self.kept.base / CONFIG_FILE, model / CONFIG_FILE)
        clean_config(model / CONFIG_FILE)
        if self.kept.adapter:
            save_file(dict(self.kept.adapter), model / ADAPTER_FILE)
        if network.head_names:
            save_file(head_tensors(network), model / HEADS_FILE)
        write_json(model / LAYOUT_FILE, self._layout())
        (folder / TOKENIZER).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.kept.tokenizer, folder / TOKENIZER / TOKENIZER_FILE)

    def _layout(self) -> dict[str, Any]:
        prompts = self.answers.prompts
        return {
            "prompt": prompts.recipe.model_dump(mode="json"),
            "read": str(prompts.read),
            "context_tokens": prompts.context_tokens,
            "window": self.rule.to_json(),
            "max_batch_tokens": self.max_batch_tokens,
            "adapter_scale": self.kept.scale if self.kept.adapter else None,
        }

    @classmethod
    def load(cls, folder: Path, schema: Schema, *, threads: int = 0, bulk: bool = False) -> Self:
        """Read what `save` wrote; nothing that is missing is made up.

        Args:
            folder: of the artifact.
            schema: of the artifact.
            threads: of torch in this process; 0 leaves them as they are.
            bulk: means nothing here.

        Raises:
            ArtifactError: a part is missing, malformed, or does not fit the schema or the other parts.
        """
        if threads:
            torch.set_num_threads(threads)
        with reading_model(folder, SafetensorError, RuntimeError):
            return cls._read(folder, schema)

    @classmethod
    def _read(cls, folder: Path, schema: Schema) -> Self:
        path = folder / MODEL / LAYOUT_FILE
        layout = read_json(path)
        keys = {"prompt", "read", "context_tokens", "window", "max_batch_tokens", "adapter_scale"}
        check_keys(layout, keys, str(path))
        rule = WindowRule.from_json(layout["window"], f"{path}, window")
        tokenizer = folder / TOKENIZER / TOKENIZER_FILE
        prompts = Prompts(
            PromptRecipe.model_validate(layout["prompt"]),
            layout["read"],
            schema,
            Tokenizer(tokenizer),
            context_tokens=int(layout["context_tokens"]),
        )
        scale = layout["adapter_scale"]
        adapter = load_file(folder / MODEL / ADAPTER_FILE) if scale is not None else {}
        kept = Kept(folder / MODEL, adapter, float(scale or 0.0), tokenizer)
        heads = heads_of(schema, prompts)
        tensors = load_file(folder / MODEL / HEADS_FILE) if heads else {}
        return cls(
            schema,
            Answers(assembled(kept, heads, tensors), prompts, constant=True),
            rule,
            int(layout["max_batch_tokens"]),
            kept,
        )


def score(
    answers: Answers, schema: Schema, rule: WindowRule, inputs: Sequence[Input], max_batch_tokens: int
) -> Scores:
    """Score whole documents by the weights as they are, before calibration."""
    prompts = answers.prompts
    windows = rule.cut([value[-1].content for value in inputs], [prompts.tokenizer])
    counts: IntArray = np.asarray([len(spans) for spans in windows], dtype=np.int64)
    places: IntArray = np.asarray([span for spans in windows for span in spans], dtype=np.int64).reshape(
        -1, 2
    )
    starts = (np.cumsum(counts) - counts).astype(np.int64)
    found: dict[str, FloatArray] = {}
    values: dict[str, FloatArray] = {}
    spans: dict[str, IntArray] = {}
    for form in range(len(prompts.forms)):
        found |= answers.window_scores(form, prompts.bodies(form, inputs, windows), max_batch_tokens)
    for target in schema:
        if not inputs:
            values[target.name] = np.zeros((0, len(target.labels)))
            spans[target.name] = np.zeros((0, len(target.labels), 2), dtype=np.int64)
            continue
        values[target.name], deciding = combine(target, found[target.name], starts, rule.single_label)
        spans[target.name] = places[deciding]  # (N, L, 2)
    return Scores(values, counts, spans)


def assembled(kept: Kept, heads: Mapping[str, int], tensors: Mapping[str, Any]) -> Network:
    """Return a network to score with: the base, adapters merged in, and the heads' own weights.

    Args:
        kept: where the weights lie.
        heads: target name to its number of labels.
        tensors: of the heads, as saved.

    Raises:
        ArtifactError: a tensor is missing, left over or of another shape.
        SourceError: the base cannot be loaded.
    """
    lm = load_causal(kept.base, attention="sdpa")
    if kept.adapter:
        merge(lm, kept.adapter, kept.scale)
    network = Network(lm, heads)
    wanted = head_tensors(network)
    if {name: value.shape for name, value in wanted.items()} != {
        name: value.shape for name, value in tensors.items()
    }:
        raise ArtifactError(
            f"the heads' tensors are {sorted(tensors)}, the schema wants {sorted(wanted)} in its shapes",
            where=HEADS_FILE,
        )
    with torch.no_grad():
        for name in network.head_names:
            network.head(name).weight.copy_(torch.from_numpy(tensors[f"{name}.weight"]))
            network.head(name).bias.copy_(torch.from_numpy(tensors[f"{name}.bias"]))
    network.eval()
    return network


def head_tensors(network: Network) -> dict[str, Any]:
    """Return the heads' weights and biases under the names they are saved by."""
    found = {}
    for name in network.head_names:
        head = network.head(name)
        for half in ("weight", "bias"):
            value = getattr(head, half).detach().float().cpu().contiguous().numpy()
            found[f"{name}.{half}"] = value
    return found
