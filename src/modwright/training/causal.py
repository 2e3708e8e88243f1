"""How a causal LM becomes a classifier: prompts as items, and the loss of their answers.

Two losses. "label" is the log-loss of the very scores that are served: a softmax over the label words' first tokens (yes
and no for questions), so that what is learnt, looked at and calibrated is one number, soft labels mean what they say, and
no logit of another token is computed. "sequence" is the language model's own loss on prompt, answer and end token over the
whole vocabulary; it also teaches the model to answer in label words at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import RecipeError
from modwright.models.adapters import adapter_tensors, add_lora
from modwright.models.answers import Answers, Network, heads_of
from modwright.models.causal import CausalClassifier, Kept, assembled, head_tensors, score
from modwright.models.decoder import load_causal, torch
from modwright.models.prompts import Prompts, Read, Reading
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.models.windows import WindowRule
from modwright.recipe import CausalRecipe
from modwright.schema import FloatArray, Input, IntArray, Schema, TargetKind
from modwright.training.causal_groups import parameter_groups
from modwright.training.documents import Documents
from modwright.training.precision import autocast, dtype_of
from modwright.training.rows import TrainingRows
from modwright.training.sequences import Branches, sequence_loss
from modwright.training.task import ParameterGroup, Task
from modwright.training.window_cells import Cells, make_cells
from modwright.training.window_length import window_rule


class CausalFamily:
    """Makes tasks and classifiers of the family `causal`; see `modwright.training.task.TunedFamily`.

    Args:
        recipe: of the family causal.
        schema: the targets of the rows.
        base_folder: holds config.json, safetensors and tokenizer.json (GGUF converted already).
        threads: of torch in this process; 0 leaves them as they are.

    Raises:
        RecipeError: words that cannot be told apart, or a target that cannot be read as the recipe says.
        ArtifactError: the base has no tokenizer.json.
    """

    def __init__(
        self,
        recipe: CausalRecipe,
        schema: Schema,
        base_folder: Path,
        *,
        threads: int = 0,
    ) -> None:
        self.recipe, self.schema, self.base_folder = recipe, schema, base_folder
        if threads:
            torch.set_num_threads(threads)
        self.prompts = Prompts(
            recipe.prompt,
            recipe.answer.read,
            schema,
            Tokenizer(base_folder / TOKENIZER_FILE),
            context_tokens=recipe.window.max_tokens,
        )
        _check_losses(recipe, schema)

    def task(self, rows: TrainingRows, seed: int) -> CausalTask:
        """Return a fresh model over training rows: the base with new adapters, drawn with the seed.

        Raises:
            SourceError: transformers cannot load the base, or it cannot be run in parts.
            RecipeError: the base has no layers of the adapters' names.
        """
        lm = load_causal(self.base_folder, attention="eager")
        network = Network(lm, heads_of(self.schema, self.prompts))
        Answers(network, self.prompts, constant=False).decoder.check(
            self.prompts.forms[0].head, self.prompts.forms[0].endings
        )
        self._choose_weights(lm, seed)
        if self.recipe.training.gradient_checkpointing:
            _recompute_activations(lm)
        return CausalTask(self.recipe, self.schema, network, self.prompts, self._rule(rows, lm), rows)

    def classifier(self, task: Task) -> CausalClassifier:
        """Return the trained model as what is saved and served: a fresh base with the adapters merged in."""
        assert isinstance(task, CausalTask)
        network, adapter = task.model, self.recipe.adapter
        full = adapter.method == "full"
        kept = Kept(
            self.base_folder,
            adapter_tensors(network.lm) if adapter.method == "lora" else {},
            adapter.alpha / adapter.rank,
            self.base_folder / TOKENIZER_FILE,
            full,
        )
        heads = heads_of(self.schema, self.prompts)
        if full:
            network.lm.set_attn_implementation("sdpa")
        ready = network if full else assembled(kept, heads, head_tensors(network))
        answers = Answers(ready, self.prompts, constant=True)
        return CausalClassifier(self.schema, answers, task.rule, self.recipe.batches.max_tokens, kept)

    def _choose_weights(self, lm: Any, seed: int) -> None:
        """Put adapters in, and say which weights of the LM are trained."""
        method = self.recipe.adapter.method
        if method == "lora":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                add_lora(lm, self.recipe.adapter)
            return
        lm.requires_grad_(method == "full")
        if self.recipe.base.freeze_embeddings:
            lm.get_input_embeddings().requires_grad_(False)

    def _rule(self, rows: TrainingRows, lm: Any) -> WindowRule:
        """Return the windows' rule, from the lengths of the texts alone."""
        around = max(
            len(form.head) + max(len(ending) for ending in form.endings) for form in self.prompts.forms
        )
        positions = int(getattr(lm.config.get_text_config(), "max_position_embeddings", 2**31))
        with_context = any(len(value) > 1 for value in rows.inputs)
        room = positions - around - (self.prompts.context_tokens if with_context else 0)
        if room < self.recipe.window.min_tokens:
            raise RecipeError(
                f"the base takes {positions:,} tokens, of which the prompt leaves {room:,} to a text",
                where="prompt",
                remedy="shorten the instructions, or lower window.max_tokens",
            )
        lengths = [
            len(ids) for ids in self.prompts.tokenizer.plain_ids([value[-1].content for value in rows.inputs])
        ]
        return window_rule(self.recipe.window, lengths, room)


@dataclass(frozen=True, slots=True)
class _Item:
    """One window under one form, and the endings that are asked behind it: those with known labels."""

    form: int
    window: int
    body: list[int]
    asked: tuple[int, ...]


class CausalTask:
    """A causal LM being trained; see `modwright.training.task.Task`. An item is a window under one form."""

    def __init__(
        self,
        recipe: CausalRecipe,
        schema: Schema,
        network: Network,
        prompts: Prompts,
        rule: WindowRule,
        rows: TrainingRows,
    ) -> None:
        self.recipe, self.schema, self.rule, self._network = recipe, schema, rule, network
        self._answers = Answers(network, prompts, constant=False)
        self._answers.decoder.shares_head = not recipe.training.gradient_checkpointing
        windows = rule.cut([value[-1].content for value in rows.inputs], [prompts.tokenizer])
        counts = np.asarray([len(spans) for spans in windows], dtype=np.int64)
        documents = Documents.of(np.cumsum(counts) - counts, int(counts.sum()), rows.weights)
        cells = make_cells(recipe, schema, rows, documents)
        self._cells = {one.target.name: one for one in cells}
        self._end = _end_token(network.lm.config)
        self._items = [
            item
            for form in range(len(prompts.forms))
            for item in self._items_of(form, prompts.bodies(form, rows.inputs, windows))
        ]
        self._any_of = [
            [item for item in self._items if item.form == form][:1] for form in range(len(prompts.forms))
        ]
        self._lengths = np.asarray([self._length(item) for item in self._items], dtype=np.int64)
        self._weights = np.asarray([self._weight(item) for item in self._items])
        network.train()

    @property
    def model(self) -> Any:
        """Return the network: LM and heads."""
        return self._network

    @property
    def lengths(self) -> IntArray:
        """Return (M,) tokens of each item; a head that is computed once for all is left out."""
        return self._lengths

    def weight(self, items: IntArray) -> float:
        """Return the sum of the items' weights, known labels only."""
        return float(self._weights[items].sum())

    def loss(self, items: IntArray) -> Any:
        """Return the weighted sum of the items' losses, in float32."""
        chosen = [self._items[item] for item in items]
        by_form = [
            [item for item in chosen if item.form == form] for form in range(len(self._answers.prompts.forms))
        ]
        compute = self._sequence_loss if self.recipe.answer.loss == "sequence" else self._label_loss
        if not _is_sharded(self._network):
            return self._network(
                lambda: sum(
                    (compute(form, some) for form, some in enumerate(by_form) if some), self._no_loss()
                )
            )
        # Processes gather a layer together, so all of them run every form, even where a part has no item of it.
        counted = [(form, some or self._any_of[form], float(bool(some))) for form, some in enumerate(by_form)]
        return self._network(
            lambda: sum((compute(form, some) * on for form, some, on in counted if some), self._no_loss())
        )

    def groups(self) -> list[ParameterGroup]:
        """Return adapters or layers, each with its own rate, and heads."""
        return parameter_groups(self._network, self.recipe.optimizer)

    def scores(self, inputs: Sequence[Input], *, exact: bool) -> Mapping[str, FloatArray]:
        """Return target to (N, L) raw document probabilities by the weights as they are."""
        network = self._network
        was_training = network.training
        network.eval()
        device = next(network.parameters()).device
        dtype = torch.float32 if exact else dtype_of(self.recipe.training.precision, device)
        answers = Answers(network, self._answers.prompts, constant=True)  # for this call they are
        # Not in inference mode: sharded weights gathered in it are lost to training.
        with torch.no_grad(), autocast(dtype, device):
            found = score(answers, self.schema, self.rule, inputs, self.recipe.batches.max_tokens)
        network.train(was_training)
        return found.values

    def _no_loss(self) -> Any:
        """Return a zero that reaches every head, for a weight without a gradient is passed over by the optimizer.

        So a head that no item of a step needs goes on by its momentum, as all weights do, however many processes train.
        """
        return sum((one.sum() * 0.0 for one in self._network.heads.parameters()), 0.0)

    def _items_of(self, form: int, bodies: Sequence[list[int]]) -> list[_Item]:
        """Return the windows of which a form can learn something."""
        readings = self._answers.prompts.forms[form].readings
        items = []
        for window, body in enumerate(bodies):
            asked = {
                ending
                for reading in readings
                for place, ending in enumerate(reading.endings)
                if self._known(reading, window, place)
            }
            if asked:
                items.append(_Item(form, window, body, tuple(sorted(asked))))
        return items

    def _known(self, reading: Reading, window: int, place: int) -> bool:
        weight = self._cells[reading.target.name].weight[window]
        return bool(weight[place] > 0 if reading.read is Read.QUESTIONS else weight.any())

    def _length(self, item: _Item) -> int:
        form = self._answers.prompts.forms[item.form]
        length = len(item.body) + sum(len(form.endings[ending]) for ending in item.asked)
        if not self._answers.decoder.shares_head:
            length += len(form.head)
        if self.recipe.answer.loss == "sequence":
            length += sum(len(ids) for branch in self._answered(item) for ids, _ in branch.words)
        return length

    def _weight(self, item: _Item) -> float:
        cells = [self._cells[one.target.name] for one in self._answers.prompts.forms[item.form].readings]
        return float(sum(one.weight[item.window].sum() * one.scale for one in cells))

    def _label_loss(self, form: int, items: Sequence[_Item]) -> Any:
        states = self._answers.run(form, [item.body for item in items], [item.asked for item in items])
        total = states.flat.new_zeros((), dtype=torch.float32)
        for reading in self._answers.prompts.forms[form].readings:
            cells = self._cells[reading.target.name]
            rows, labels, places = [], [], []
            for row, item in enumerate(items):
                for label, ending in enumerate(reading.endings):
                    if self._known(reading, item.window, label):
                        rows.append(item.window)
                        labels.append(label)
                        places.append(states.ends[row][1 + item.asked.index(ending)])
            if places:
                logits = self._answers.logits(reading, states.flat[places])
                total = total + _label_loss(reading, cells, logits, np.asarray(rows), np.asarray(labels))
        return total

    def _sequence_loss(self, form: int, items: Sequence[_Item]) -> Any:
        what = self._answers.prompts.forms[form]
        rows = []
        for item in items:
            answered = self._answered(item)
            total = sum(branch.weight for branch in answered)
            row = Branches()
            body = row.add(item.body, -1, 1.0)
            for ending in item.asked:
                own = [branch for branch in answered if branch.ending == ending]
                share = sum(branch.weight for branch in own) / total
                stem = row.add(what.endings[ending], body, share)
                for branch in own:
                    for ids, probability in branch.words:
                        row.add(ids, stem, probability * branch.weight / total)
            rows.append(row)
        weights = [sum(branch.weight for branch in self._answered(item)) for item in items]
        return sequence_loss(self._answers.decoder, what.head, rows, weights)

    def _answered(self, item: _Item) -> list[_Answer]:
        """Return what may be answered behind each ending of an item, with its probability and end token."""
        found = []
        for reading in self._answers.prompts.forms[item.form].readings:
            cells = self._cells[reading.target.name]
            truth, weight = cells.truth[item.window], (cells.weight * cells.factor)[item.window] * cells.scale
            if reading.read is Read.LABELS and self._known(reading, item.window, 0):
                found.append(_Answer(reading.endings[0], float(weight.sum()), self._words(reading, truth)))
            for label, ending in enumerate(reading.endings if reading.read is Read.QUESTIONS else ()):
                if weight[label] > 0:
                    sides = np.asarray([truth[label], 1.0 - truth[label]])
                    found.append(_Answer(ending, float(weight[label]), self._words(reading, sides)))
        return found

    def _words(self, reading: Reading, shares: FloatArray) -> list[tuple[tuple[int, ...], float]]:
        return [
            ((*word, *self._end), float(share))
            for word, share in zip(reading.words, shares, strict=True)
            if share > 0
        ]


def _is_sharded(network: Network) -> bool:
    """Say whether the weights are spread over several processes."""
    return any(hasattr(parameter, "placements") for parameter in network.parameters())


@dataclass(frozen=True, slots=True)
class _Answer:
    """The words that may follow an ending, each with its probability, and the weight of the whole."""

    ending: int
    weight: float
    words: list[tuple[tuple[int, ...], float]]


def _label_loss(reading: Reading, cells: Cells, logits: Any, rows: IntArray, labels: IntArray) -> Any:
    """Return the weighted sum of cross-entropies: of words or labels (M, L), or of yes and no (M,)."""
    weights, truth = cells.weight[rows] * cells.factor[rows] * cells.scale, cells.truth[rows]  # (M, L)
    if reading.target.kind is TargetKind.SINGLE_LABEL:
        told = torch.from_numpy(truth).to(logits)
        losses = -(told * torch.log_softmax(logits, dim=1)).sum(dim=1)
        return (losses * torch.from_numpy(weights.sum(axis=1)).to(logits)).sum()
    if reading.read is Read.QUESTIONS:
        some = np.arange(len(rows))
        weights, truth = weights[some, labels], truth[some, labels]  # (M,)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(truth).to(logits), reduction="none"
    )
    return (losses * torch.from_numpy(weights).to(logits)).sum()


def _end_token(config: Any) -> tuple[int, ...]:
    """Return the token that ends a text, as the base's config names it; none where it names none."""
    end = config.get_text_config().eos_token_id
    return () if end is None else (int(end[0] if isinstance(end, list) else end),)


def _recompute_activations(lm: Any) -> None:
    """Let layers be computed again for their gradients; transformers is about to rename the switch."""
    how = {"use_reentrant": False}
    if hasattr(lm, "activation_checkpointing_enable"):
        lm.activation_checkpointing_enable(activation_checkpointing_kwargs=how)
    else:
        lm.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)


def _check_losses(recipe: CausalRecipe, schema: Schema) -> None:
    for target in schema:
        own = recipe.targets.get(target.name)
        if own is not None and own.loss == "binary" and target.kind is TargetKind.SINGLE_LABEL:
            raise RecipeError(
                "the words of labels that exclude each other are one choice, not several yes or no",
                where=f"targets.{target.name}.loss",
                remedy='take "categorical"',
            )
