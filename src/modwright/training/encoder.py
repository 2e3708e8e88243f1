"""How an encoder becomes a classifier: windows as items, heads that begin as a probe, and the loss of every target."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modwright.models.encoder import EncoderClassifier, combined, write_layout
from modwright.models.encoder_files import write_encoder
from modwright.models.encoder_inputs import InputRule, TokenRows
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.models.trunk import EncoderModel, compute_twice, freeze, load_trunk
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.recipe import EncoderRecipe
from modwright.schema import BoolArray, FloatArray, Input, IntArray, Schema
from modwright.training.documents import Documents
from modwright.training.encoder_groups import parameter_groups
from modwright.training.encoder_running import Kept, Runner
from modwright.training.precision import dtype_of
from modwright.training.probe import fit_probe
from modwright.training.rows import TrainingRows
from modwright.training.task import ParameterGroup, Task
from modwright.training.window_cells import Cells, make_cells
from modwright.training.window_length import window_rule

_UNCUT = 2**31
_INITIAL_STD = 0.02
#: Heads begin as a probe of at most so many texts of one window: a beginning needs no more, and the rest would cost time.
_MOST_PROBED = 1_000


class EncoderFamily:
    """Makes tasks and classifiers of the family `encoder`; see `modwright.training.task.TunedFamily`.

    Args:
        recipe: of the family encoder.
        schema: the targets of the rows.
        base_folder: holds config.json, safetensors and tokenizer.json.
        max_tokens: the longest row that the base takes, special tokens included.
        threads: of the finished classifier; 0 takes every usable core.
    """

    def __init__(
        self,
        recipe: EncoderRecipe,
        schema: Schema,
        base_folder: Path,
        *,
        max_tokens: int,
        threads: int = 0,
    ) -> None:
        self.recipe, self.schema, self.base_folder = recipe, schema, base_folder
        self._max_tokens, self._threads = max_tokens, threads
        self._tokenizer = Tokenizer(base_folder / TOKENIZER_FILE, literal=True)

    def task(self, rows: TrainingRows, seed: int) -> EncoderTask:
        """Return a fresh model over training rows; its heads are a probe of these very rows, or drawn with the seed.

        Raises:
            RecipeError: sections that the schema has no target or label for, or more frozen layers than the base has.
            SourceError: transformers cannot load the base.
        """
        base = self.recipe.base
        trunk = load_trunk(self.base_folder, dropout=base.dropout, attention_dropout=base.attention_dropout)
        freeze(trunk, embeddings=base.freeze_embeddings, layers=base.freeze_layers)
        if self.recipe.training.gradient_checkpointing:
            compute_twice(trunk)
        labels = sum(len(target.labels) for target in self.schema)
        model = EncoderModel(trunk, labels, base.pooling, base.dropout)
        rule = self._rule(rows.inputs)
        return EncoderTask(self.recipe, self.schema, model, self._tokenizer, rule, rows, seed)

    def lengths(self, rows: TrainingRows) -> IntArray:
        """Return (M,) the tokens of every item that `task` makes of these rows, without a model."""
        return self._rule(rows.inputs).encode(rows.inputs, self._tokenizer).lengths

    def _rule(self, inputs: Sequence[Input]) -> InputRule:
        """Return the rule whose windows hold the recipe's share of the inputs, context and all."""
        whole = InputRule(WindowRule(_UNCUT, 0.0, SingleLabelRule.MEAN)).encode(inputs, self._tokenizer)
        return InputRule(window_rule(self.recipe.window, whole.lengths, self._max_tokens))

    def classifier(self, task: Task) -> EncoderClassifier:
        """Return the trained model, exported and compared with torch; its files live as long as it does.

        Raises:
            MissingExtraError: the exporter is not installed.
            IntegrityError: the graph does not compute what torch computes.
        """
        assert isinstance(task, EncoderTask)
        kept = _Folder()
        write_encoder(kept.path, task.model, self.schema, self.base_folder)
        write_layout(kept.path, self.schema, task.rule, self.recipe.batches.max_tokens)
        return EncoderClassifier.load(kept.path, self.schema, threads=self._threads, bulk=True, kept=kept)


class _Folder:
    """A folder that is removed with this object, or with the process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="modwright-encoder-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class EncoderTask:
    """An encoder being trained; see `modwright.training.task.Task`. An item is a window.

    Args:
        recipe: of the family encoder.
        schema: the targets of the rows.
        model: fresh, frozen as the recipe says.
        tokenizer: of its base.
        rule: inputs to rows of tokens.
        rows: to train on.
        seed: of heads that begin at random.
    """

    def __init__(
        self,
        recipe: EncoderRecipe,
        schema: Schema,
        model: EncoderModel,
        tokenizer: Tokenizer,
        rule: InputRule,
        rows: TrainingRows,
        seed: int,
    ) -> None:
        self.recipe, self.schema, self.model, self.rule = recipe, schema, model, rule
        self._tokenizer = tokenizer
        self._rows = rule.encode(rows.inputs, tokenizer)
        precision = dtype_of(recipe.training.precision, model.head.weight.device)
        self._runner = Runner(model, recipe, precision)
        self._kept = self._runner.keep(self._rows)
        self._held: _Held | None = None
        documents = Documents.of(self._rows.starts, len(self._rows.ends), rows.weights)
        cells = make_cells(recipe, schema, rows, documents)
        if recipe.heads.init == "probe":
            cells = self._begin_as_probe(cells, documents)
        else:
            _begin_at_random(model, seed)
        self._targets = [TargetLoss(one) for one in cells]
        self._weights: FloatArray = np.sum([one.weight.sum(axis=1) * one.scale for one in cells], axis=0)
        model.train()

    @property
    def lengths(self) -> IntArray:
        """Return (W,) tokens of each window."""
        return self._rows.lengths

    def weight(self, items: IntArray) -> float:
        """Return the sum of the windows' weights, known labels only."""
        return float(self._weights[items].sum())

    def loss(self, items: IntArray) -> Any:
        """Return the weighted sum of the windows' losses over all targets, in float32."""
        logits = self._runner.logits(self._rows, items, self._kept)
        places = torch.from_numpy(np.asarray(items))
        parts = torch.split(logits, [target.labels for target in self._targets], dim=1)
        return sum(target(part, places) for target, part in zip(self._targets, parts, strict=True))

    def groups(self) -> list[ParameterGroup]:
        """Return the heads, and every layer with its own rate."""
        return parameter_groups(self.model, self.recipe.optimizer)

    def scores(self, inputs: Sequence[Input], *, exact: bool) -> Mapping[str, FloatArray]:
        """Return target to (N, L) raw document probabilities; the tokens of the last inputs are kept for the next look."""
        if self._held is None or self._held.inputs is not inputs:
            self._held = _Held(inputs, self.rule.encode(inputs, self._tokenizer))
        held = self._held
        if not exact and not held.looked_at:
            held.kept, held.looked_at = self._runner.keep(held.rows), True
        logits = self._runner.all_logits(held.rows, held.kept, exact=exact)
        return combined(self.schema, logits, held.rows, self.rule.window.single_label)[0]

    def _begin_as_probe(self, cells: list[Cells], documents: Documents) -> list[Cells]:
        probed = self._probed(documents)
        pooled = self._runner.all_pooled(self._rows, self._kept, np.flatnonzero(probed))
        probe = fit_probe(
            pooled,
            cells,
            documents,
            c=self.recipe.heads.probe_c,
            rounds=self.recipe.window.rounds,
            rule=self.rule.window.single_label,
            fitted=probed,
        )
        with torch.no_grad():
            self.model.head.weight.copy_(torch.from_numpy(probe.weights.T.astype(np.float32)))
            self.model.head.bias.copy_(torch.from_numpy(probe.bias.astype(np.float32)))
        return [replace(one, weight=weight) for one, weight in zip(cells, probe.weight, strict=True)]

    def _probed(self, documents: Documents) -> BoolArray:
        """Return (W,) the windows that the probe sees: all of long documents, and enough of the others."""
        windows = np.bincount(documents.owner, minlength=len(documents.starts))
        short = np.flatnonzero(windows == 1)
        if len(short) <= _MOST_PROBED:
            return np.ones(len(documents.owner), dtype=np.bool_)
        seen = windows > 1
        seen[np.random.default_rng(self.recipe.seed).choice(short, size=_MOST_PROBED, replace=False)] = True
        return np.asarray(seen[documents.owner])


@dataclass(slots=True)
class _Held:
    """What was scored last, for the next look: its rows, and their states after the frozen layers."""

    inputs: Sequence[Input]
    rows: TokenRows
    kept: Kept | None = None
    looked_at: bool = False


class TargetLoss:
    """One target's weighted loss as a sum over windows: binary per label, or categorical over all of them."""

    def __init__(self, cells: Cells) -> None:
        self.labels = len(cells.target.labels)
        self._categorical = cells.categorical
        self._truth = torch.from_numpy(cells.truth.astype(np.float32))
        self._share = torch.from_numpy((cells.weight * cells.factor * cells.scale).astype(np.float32))

    def __call__(self, logits: Any, items: Any) -> Any:
        """Return the sum over the cells of some windows (B,), of their logits (B, L)."""
        truth, share = self._truth[items].to(logits.device), self._share[items].to(logits.device)
        if self._categorical:
            losses = -(truth * torch.log_softmax(logits, dim=1)).sum(dim=1)
            return (losses * share.sum(dim=1)).sum()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return (losses * share).sum()


def _begin_at_random(model: EncoderModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        drawn = torch.randn(model.head.weight.shape, generator=generator) * _INITIAL_STD
        model.head.weight.copy_(drawn)
        model.head.bias.zero_()
