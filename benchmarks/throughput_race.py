"""Two trainings of the same rows in one process, step by step in turns, each on a clock of its own.

What the machine does besides, it does to both. `Ours` is a recipe of the family `encoder`; `Notebook` is transformers'
Trainer, whose callback lets the other have its turn while its own clock stands still.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from common import silent
from modwright.pipeline.families import prepare
from modwright.recipe import EncoderRecipe
from modwright.schema import FloatArray, Schema
from modwright.settings import load_settings
from modwright.training.events import Event
from modwright.training.loop import plan_of, run
from modwright.training.rows import TrainingRows
from modwright.training.selection import document_log_loss

_BATCH = 32


@dataclass
class Clock:
    """Seconds of the wall and of the processor, while it runs."""

    wall_s: float = 0.0
    processor_s: float = 0.0
    _since: tuple[float, float] | None = None

    def __enter__(self) -> Clock:
        self._since = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._since is not None
        self.wall_s += time.perf_counter() - self._since[0]
        self.processor_s += time.process_time() - self._since[1]
        self._since = None


@dataclass
class Look:
    """The validation loss after so many epochs and so many seconds of training."""

    epoch: float
    seconds: float
    loss: float


@dataclass
class Course:
    """What a training did: seconds on its clock, and its looks, which cost it nothing."""

    clock: Clock = field(default_factory=Clock)
    looks: list[Look] = field(default_factory=list)
    beginning_s: float = 0.0


class Ours:
    """A recipe of the family `encoder`, from texts to a trained model: loading, tokens and heads' beginning included."""

    def __init__(
        self, recipe: EncoderRecipe, schema: Schema, rows: TrainingRows, held_out: TrainingRows | None
    ) -> None:
        self._schema, self._held_out = schema, held_out
        family = prepare(recipe, schema, load_settings(), on_event=silent).family
        assert family is not None
        self.course = Course()
        with self.course.clock:
            self._task = family.task(rows, recipe.seed)
            plan = plan_of(recipe, self._task.lengths)
            self._events: Generator[Event, None, Any] = run(self._task, plan)
        self.course.beginning_s = self.course.clock.wall_s
        self.steps, self._done = plan.steps, 0
        self._epochs_at = plan.epochs_at
        self.look()

    def advance(self, share: float, looks: int = 0) -> None:
        """Train up to a share of all steps, with that many looks over the whole training."""
        while self._done < min(self.steps, round(share * self.steps)):
            with self.course.clock:
                next(self._events)
            self._done += 1
            if looks and self._done * looks // self.steps > (self._done - 1) * looks // self.steps:
                self.look()

    def look(self) -> None:
        """Score the held-out rows in float32."""
        if self._held_out is not None:
            scores = self._task.scores(self._held_out.inputs, exact=True)
            self._task.model.train()
            loss = _loss(self._schema, scores, self._held_out)
            self.course.looks.append(Look(self._epochs_at(self._done), self.course.clock.wall_s, loss))


class Notebook:
    """transformers' Trainer as the notebook writes it: a padding collator, batches of 8, float32, the default optimizer.

    Args:
        folder: of the base.
        schema: of one multi-label target.
        rows: to train on, every label known.
        epochs: passes over them.
        settings: of TrainingArguments, where the notebook's defaults are not meant.
    """

    def __init__(
        self,
        folder: Path,
        schema: Schema,
        rows: TrainingRows,
        held_out: TrainingRows | None,
        epochs: int,
        **settings: Any,
    ) -> None:
        self._schema, self._held_out = schema, held_out
        (target,) = schema.targets
        self.course = Course()
        with self.course.clock:
            torch.manual_seed(0)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=512)
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, num_labels=len(target.labels), problem_type="multi_label_classification"
            )
            train = self._encoded(rows)
        self.tokens = epochs * sum(len(row["input_ids"]) for row in train)
        self._scratch = tempfile.TemporaryDirectory(prefix="modwright-")
        arguments = TrainingArguments(
            self._scratch.name,
            num_train_epochs=epochs,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
            **settings,
        )
        self.trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=train,
            processing_class=self.tokenizer,
            data_collator=DataCollatorWithPadding(self.tokenizer),
        )
        self.course.beginning_s = self.course.clock.wall_s
        self._validation = self._encoded(held_out) if held_out is not None else []

    def train(self, between: Callable[[float], None], looks: int = 0) -> None:
        """Train; after every step `between` is given the share of steps done, while the clock stands still."""
        course, look = self.course, self.look

        class Turns(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                course.clock.__exit__()
                done, steps = state.global_step, state.max_steps
                if looks and done * looks // steps > (done - 1) * looks // steps:
                    look(state.epoch)
                between(done / steps)
                course.clock.__enter__()

        self.trainer.add_callback(Turns())
        look(0.0)
        with course.clock:
            self.trainer.train()
        self._scratch.cleanup()

    def look(self, epoch: float) -> None:
        """Score the held-out rows."""
        if self._held_out is None:
            return
        model, (target,) = self.trainer.model, self._schema.targets
        model.eval()
        scores = np.zeros((len(self._validation), len(target.labels)))
        order = sorted(range(len(self._validation)), key=lambda row: len(self._validation[row]["input_ids"]))
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                some = order[start : start + _BATCH]
                inputs = [
                    {key: self._validation[row][key] for key in ("input_ids", "attention_mask")}
                    for row in some
                ]
                scores[some] = torch.sigmoid(model(**self.tokenizer.pad(inputs, return_tensors="pt")).logits)
        model.train()
        loss = _loss(self._schema, {target.name: scores}, self._held_out)
        self.course.looks.append(Look(epoch, self.course.clock.wall_s, loss))

    def _encoded(self, rows: TrainingRows) -> list[dict[str, Any]]:
        texts = [value[-1].content for value in rows.inputs]
        encoded = self.tokenizer(texts, truncation=True)
        (values,) = rows.labels.values()
        return [
            {
                "input_ids": ids,
                "attention_mask": [1] * len(ids),
                "labels": row.tolist(),
            }
            for ids, row in zip(encoded["input_ids"], values, strict=True)
        ]


def _loss(schema: Schema, scores: Any, rows: TrainingRows) -> float:
    (target,) = schema.targets
    truth: FloatArray = rows.labels[target.name]
    return document_log_loss(target, np.asarray(scores[target.name]), truth, rows.weights)
