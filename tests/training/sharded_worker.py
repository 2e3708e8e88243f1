"""Runs in one process or in each of several: a tiny Llama with a head, trained by the loop; what came of it, in a folder.

python sharded_worker.py OUT [CASE ...]
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from modwright.errors import RecipeError
from modwright.pipeline.torchrun import as_worker, is_worker, meet
from modwright.recipe import BatchRecipe, OptimizerRecipe
from modwright.training.checkpoints import CheckpointStore
from modwright.training.events import Step
from modwright.training.looking import Look
from modwright.training.loop import run
from modwright.training.parallel import Single
from modwright.training.plan import Plan
from modwright.training.task import ParameterGroup

ITEMS, VOCABULARY, STEPS = 40, 100, 8


class Layers(torch.nn.Module):
    """What stands for a decoder where only the processes matter: transformers takes seconds to import."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(VOCABULARY, 32)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(32, 32) for _ in range(3)])

    def forward(self, ids, mask):
        states = self.embed(ids)
        for layer in self.layers:
            states = states + torch.tanh(layer(states.cumsum(dim=1) / 8))
        return states


class Llama(torch.nn.Module):
    """A tiny Llama."""

    def __init__(self):
        from transformers import LlamaConfig, LlamaModel

        super().__init__()
        self.llama = LlamaModel(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=3,
                num_attention_heads=4,
                num_key_value_heads=2,
                use_cache=False,
            )
        )

    def forward(self, ids, mask):
        return self.llama(input_ids=ids, attention_mask=mask).last_hidden_state


class Model(torch.nn.Module):
    """A trunk and a linear head on its last token."""

    def __init__(self, trunk):
        super().__init__()
        self.trunk = trunk()
        self.head = torch.nn.Linear(32, 3)

    def forward(self, ids, mask):
        states = self.trunk(ids, mask)
        return self.head(states[torch.arange(len(ids)), mask.sum(dim=1) - 1].float())


class Task:
    """Items of 4 to 20 tokens, whose labels say which tokens they hold."""

    def __init__(self, seed, trunk, *, checkpointing=False):
        rng = np.random.default_rng(5)
        torch.manual_seed(seed)
        self.model = Model(trunk)
        if checkpointing:
            self.model.trunk.llama.activation_checkpointing_enable()
        self.lengths = rng.integers(4, 20, ITEMS)
        self.ids = [rng.integers(1, VOCABULARY, size) for size in self.lengths]
        self.labels = np.stack([[(ids < 30).any(), (ids > 70).any(), 5 in ids] for ids in self.ids]).astype(
            float
        )
        self.weights = rng.uniform(0.5, 1.5, ITEMS)

    def batch(self, items):
        ids = torch.zeros(len(items), max(len(self.ids[item]) for item in items), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, item in enumerate(items):
            ids[row, : len(self.ids[item])] = torch.from_numpy(self.ids[item])
            mask[row, : len(self.ids[item])] = 1
        return ids, mask

    def weight(self, items):
        return float(self.weights[items].sum())

    def loss(self, items):
        truth = torch.from_numpy(self.labels[items]).float()
        logits = self.model(*self.batch(items))
        cells = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return (cells.mean(dim=1) * torch.from_numpy(self.weights[items]).float()).sum()

    def groups(self):
        return [ParameterGroup(list(self.model.parameters()), 1e-2, 0.1)]

    @torch.no_grad()
    def scores(self, inputs, *, exact):
        return {"all": torch.sigmoid(self.model(*self.batch(np.arange(ITEMS)))).double().numpy()}


def plan(task, **changes):
    batches = BatchRecipe(rows=8, max_tokens=48, pool=16)
    optimizer = OptimizerRecipe(
        learning_rate=1e-2,
        head_learning_rate=1e-2,
        layer_decay=1,
        weight_decay=0.1,
        max_grad_norm=1,
        schedule="cosine",
        warmup=0.1,
    )
    values = {
        "steps": STEPS,
        "ends": STEPS,
        "precision": "float32",
        "every": 3,
        "patience": 0,
        "keep": "best",
    }
    values |= {"checkpoint_steps": 2, "seed": 3, "lengths": task.lengths, **changes}
    return Plan(batches=batches, optimizer=optimizer, **values)


def look(task):
    scores = task.scores(None, exact=False)["all"]
    loss = float(-np.mean(np.log(np.where(task.labels > 0, scores, 1 - scores))))
    return Look(loss, {}, -loss)


def train(out, parallel, *, trunk=Llama, checkpointing=False, store=None, die_at=None, changes=None):
    """Train to the end, writing losses, weights and scores; or die at a step, killed as the system kills."""
    task = parallel.made(lambda: Task(0, trunk, checkpointing=checkpointing))
    kept = store and CheckpointStore(store, keep_last=2, keep_best=1, run="test", parallel=parallel)
    losses = []
    for event in run(
        task, plan(task, **(changes or {})), store=kept, look=lambda: look(task), parallel=parallel
    ):
        if isinstance(event, Step):
            losses.append([event.number, event.train_loss])
            if parallel.rank == 0:
                print("step", event.number, flush=True)
            if die_at == event.number and parallel.rank == parallel.world - 1:
                os.kill(os.getpid(), signal.SIGKILL)
    whole = parallel.alone(task, lambda: Task(1, trunk))
    scores = parallel.told(lambda: whole.scores(None, exact=True), {"all": (ITEMS, 3)})["all"]
    if parallel.rank == 0:
        weights = np.concatenate([value.detach().numpy().ravel() for value in whole.model.parameters()])
        np.savez(out, losses=np.asarray(losses), weights=weights, scores=scores)


def main(out, cases):
    torch.set_num_threads(1)
    with as_worker():
        if "fails" in cases:
            raise RecipeError("nothing of the kind", where="recipe, here", remedy="give another")
        parallel = Single()
        if is_worker():
            from modwright.training.sharded import Sharded

            parallel = Sharded.joined(lambda device: torch.float32)
        world = parallel.world
        if "plain" in cases:
            train(out / f"plain-{world}", parallel, store=out / f"store-{world}")
        if "checkpointing" in cases:
            train(out / f"checkpointing-{world}", parallel, checkpointing=True)
        if "half" in cases:  # a run of another number of processes goes on from here
            train(out / f"half-{world}", parallel, store=out / f"half-store-{world}", changes={"ends": 4})
        if "other-half" in cases:
            other = out / f"half-store-{3 - world}"
            train(out / f"other-half-{world}", parallel, store=other)
        for case in cases:
            name, _, die_at = case.partition("=")
            if name in ("killed", "undisturbed"):
                store = out / f"{name}-store"
                train(out / name, parallel, trunk=Layers, store=store, die_at=int(die_at or 0))
        meet()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
