"""A published sequence classifier on a decoder, run by torch as it is: for what is too large for one graph.

model/decoder.json         columns of the logits, windows, how rows are batched
model/config.json          as published
model/model*.safetensors   as published, in the precision they came in; computed in float32
tokenizer/tokenizer.json

The rows are those of a classifier that runs as a graph (`modwright.models.encoder`), and so are the scores. The head reads
the state of a row's last token.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from modwright.artifact import MODEL, TOKENIZER
from modwright.catalog.weights import INDEX, weight_files
from modwright.errors import ArtifactError
from modwright.files import link_or_copy
from modwright.models.decoder import Decoder, Segment, torch
from modwright.models.encoder import columns, combined, read_layout, write_layout
from modwright.models.encoder_inputs import InputRule, TokenRows
from modwright.models.foreign import load_published
from modwright.models.reading import reading_model
from modwright.models.registry import DECODER_FILE
from modwright.models.runtime import length_batches
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.schema import Float32Array, Input, Schema, Scores

_CONFIG_FILE = "config.json"


@dataclass(frozen=True, slots=True)
class PublishedDecoder:
    """A tokenizer and a torch model; see `modwright.schema.Classifier` for the contract.

    Attributes:
        schema: one target, in the order of the logits.
        tokenizer: of the model.
        model: of `load_published`, with a linear head `score`.
        rule: inputs to rows of tokens.
        max_batch_tokens: computed at once.
        weights: the folder with config.json and safetensors.
        tokenizer_path: the file.
    """

    schema: Schema
    tokenizer: Tokenizer
    model: Any
    rule: InputRule
    max_batch_tokens: int
    weights: Path
    tokenizer_path: Path

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score whole documents, before calibration."""
        rows = self.rule.encode(inputs, self.tokenizer)
        values, deciding = combined(self.schema, self._logits(rows), rows, self.rule.window.single_label)
        return Scores(values, rows.counts, {name: rows.spans[windows] for name, windows in deciding.items()})

    def _logits(self, rows: TokenRows) -> Float32Array:
        """Return (W, L); rows of one length go together, so that nothing is padded."""
        decoder = Decoder(self.model, constant=True)
        result = np.zeros((len(rows.ends), len(columns(self.schema))), dtype=np.float32)
        with torch.inference_mode():
            for batch in length_batches(rows.lengths.tolist(), self.max_batch_tokens):
                ids, _, _ = rows.batch(batch)  # (B, T), one token where a text has none
                states = decoder.states((), [[Segment(row)] for row in ids.tolist()])
                ends = [last for (last,) in states.ends]
                result[batch] = self.model.score(states.flat[ends]).float().numpy()
        return result

    def save(self, folder: Path) -> None:
        """Write weights, layout and tokenizer below an artifact folder."""
        model = folder / MODEL
        write_layout(folder, self.schema, self.rule, self.max_batch_tokens, file=DECODER_FILE)
        for name in (_CONFIG_FILE, *weight_files(self.weights)):
            # Weights may share their bytes with other folders; what a person might edit has its own.
            place = shutil.copyfile if name in (_CONFIG_FILE, INDEX) else link_or_copy
            place(self.weights / name, model / name)
        (folder / TOKENIZER).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.tokenizer_path, folder / TOKENIZER / TOKENIZER_FILE)

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
        with reading_model(folder):
            rule, max_batch_tokens = read_layout(folder / MODEL / DECODER_FILE, schema)
            path = folder / TOKENIZER / TOKENIZER_FILE
            tokenizer, model = Tokenizer(path, literal=True), load_published(folder / MODEL, attention="sdpa")
            labels = int(model.score.out_features)
        if labels != len(columns(schema)):
            raise ArtifactError(
                f"the head gives {labels} logits, the schema has {len(columns(schema))} labels",
                where=str(folder / MODEL),
            )
        return cls(schema, tokenizer, model, rule, max_batch_tokens, folder / MODEL, path)
