"""A family that learns from hashed words in milliseconds: a real torch module with dropout behind the loop's contract."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from modwright.recipe import load_recipe
from modwright.schema import TargetKind
from modwright.testing import TINY_SCHEMA, WordClassifier, tiny_rows
from modwright.training.checkpoints import CheckpointStore
from modwright.training.documents import whole_rows
from modwright.training.looking import Judge
from modwright.training.task import ParameterGroup

torch.set_num_threads(1)  # for nets as small as these, and bits depend on it
WIDTH = 24
ROWS, HELD = tiny_rows(60), tiny_rows(40, seed=1)
#: Two epochs of eight steps with looks and checkpoints that do not fall together.
OPTIONS = ("checkpoints.every_steps=3", "validation.every=5", "training.epochs=2")
SMALL = (
    "batches.rows=8",
    "batches.max_tokens=64",
    "batches.pool=4",
    "training.epochs=3",
    "training.precision=float32",
    "optimizer.learning_rate=0.02",
    "validation.folds=3",
    "validation.keep=best",
    "checkpoints.every_steps=5",
)


def small_recipe(*overrides, name="balanced"):
    """A fine-tuned recipe with everything small."""
    return load_recipe(name, [*SMALL, *overrides])


def hashed(inputs):
    rows = np.zeros((len(inputs), WIDTH), dtype=np.float32)
    for row, value in enumerate(inputs):
        for word in value[-1].content.split():
            rows[row, zlib.crc32(word.encode()) % WIDTH] += 1.0
    return torch.from_numpy(rows)


class Net(torch.nn.Module):
    def __init__(self, schema, dropout):
        super().__init__()
        self.trunk = torch.nn.Linear(WIDTH, 16)
        self.frozen = torch.nn.Linear(WIDTH, 16)
        self.frozen.requires_grad_(False)
        self.dropout = torch.nn.Dropout(dropout)
        self.heads = torch.nn.ModuleDict({t.name: torch.nn.Linear(16, len(t.labels)) for t in schema})

    def forward(self, rows):
        state = self.dropout(torch.tanh(self.trunk(rows) + self.frozen(rows)))
        return {name: head(state) for name, head in self.heads.items()}


class TinyTask:
    """Every document is one item; its words are its tokens."""

    def __init__(self, schema, rows, seed, dropout=0.2, rate=0.02):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = Net(schema, dropout)
        self.schema, self.rows, self.rate = schema, rows, rate
        self.features = hashed(rows.inputs)
        self.lengths = np.array([len(v[-1].content.split()) for v in rows.inputs], dtype=np.int64)
        self.truth = {t.name: torch.from_numpy(whole_rows(t, rows.labels[t.name])).float() for t in schema}
        self.weights = torch.from_numpy(rows.weights).float()
        self.sizes = []  # items of every call of loss

    def weight(self, items):
        total = 0.0
        for truth in self.truth.values():
            known = (~torch.isnan(truth[items])).float().mean(dim=1)
            total += float((known * self.weights[items]).sum())
        return total

    def loss(self, items):
        self.sizes.append(len(items))
        logits, total = self.model(self.features[items]), torch.zeros(())
        for target in self.schema:
            truth = self.truth[target.name][items]
            known, y = ~torch.isnan(truth), torch.nan_to_num(truth)
            z = logits[target.name].float()
            if target.kind is TargetKind.MULTI_LABEL:
                cells = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
                rows = (cells * known).sum(dim=1) / len(target.labels)
            else:
                rows = -(y * z.log_softmax(dim=1)).sum(dim=1) * known.all(dim=1)
            total = total + (rows * self.weights[items]).sum()
        return total

    def groups(self):
        return [
            ParameterGroup(list(self.model.trunk.parameters()), self.rate, 0.01),
            ParameterGroup(list(self.model.heads.parameters()), self.rate * 2, 0.0),
        ]

    @torch.no_grad()
    def scores(self, inputs, *, exact):
        self.model.eval()
        logits = self.model(hashed(inputs))
        return {
            t.name: (z.sigmoid() if t.kind is TargetKind.MULTI_LABEL else z.softmax(dim=1)).double().numpy()
            for t in self.schema
            for z in [logits[t.name]]
        }


class TinyFamily:
    """Keeps the tasks it made; its classifier is a stand-in that carries the task."""

    def __init__(self, schema=TINY_SCHEMA, **task):
        self.schema, self.options, self.tasks = schema, task, []

    def task(self, rows, seed):
        self.tasks.append(TinyTask(self.schema, rows, seed, **self.options))
        return self.tasks[-1]

    def classifier(self, task):
        classifier = WordClassifier(self.schema)
        classifier.words = task  # type: ignore[assignment]
        return classifier


def weights_of(task):
    """All weights, as bytes by name."""
    return {name: p.detach().numpy().tobytes() for name, p in task.model.named_parameters()}


def fresh(**options):
    """A task of the rows above; the same every time."""
    return TinyTask(TINY_SCHEMA, ROWS, 0, **options)


def looking(task, metric="loss"):
    judge = Judge(TINY_SCHEMA, HELD, metric)
    return lambda: judge.look(task.scores(HELD.inputs, exact=False))


def store_at(folder, keep_last=2):
    return CheckpointStore(folder, keep_last=keep_last, keep_best=1, run="test")
