"""Validation of a job: its files become a dataset, its wishes a recipe, and both an estimate of what training takes."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, content_hashes, make_dataset, store_dataset
from modwright.data.given import GivenFile
from modwright.data.importing import load_dataset
from modwright.data.options import TRAIN, ImportOptions, Meaning, Reading
from modwright.data.problems import DataProblemsError, Problems
from modwright.data.records import read_records
from modwright.data.tables import INPUT_COLUMNS
from modwright.errors import DataError, UsageError
from modwright.jobs.specs import JobSpec, LossFunction
from modwright.jobs.training_spec import Plan, filled_hyperparameters, plan_job
from modwright.jobs.workspace import Order, OrderedFile, Workspace
from modwright.pipeline.bases import portable
from modwright.pipeline.estimating import estimate
from modwright.pipeline.torchrun import processes_of
from modwright.recipe import FrozenRecipe
from modwright.schema import Schema
from modwright.settings import Settings
from modwright.training.estimate import Estimate
from modwright.training.events import Event

#: Bad lines that only show when rows are compared are left out this often, then they count as too many.
_ROUNDS = 20
_ALL_PROBLEMS = 1_000_000
_SHOWN_PROBLEMS = 100
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Checked:
    """A job's rows.

    Attributes:
        dataset: splits `train` and, where files were given, `validation`.
        skipped: bad lines that were left out, and why: at most 100 problems.
        skipped_lines: how many.
        notes: what was accepted and may surprise.
    """

    dataset: Dataset
    skipped: tuple[DataError, ...]
    skipped_lines: int
    notes: tuple[str, ...]


def check_data(order: Order, workspace: Workspace) -> Checked:
    """Read a job's files into the workspace's dataset; bad lines are left out as far as the job tolerates them.

    Raises:
        DataError: more is wrong than that; up to 100 problems, each with its file and line.
    """
    reader = _Tolerant(order, workspace)
    dataset, notes = reader.dataset()
    if order.spec.targets is not None:
        dataset = _only_targets(dataset, [target.name for target in order.spec.targets])
    dataset = _weighted(dataset, {file.name: file.weight for file in reader.files if file.split == TRAIN})
    notes = (*map(_plain, reader.own(notes)), *_overlap(dataset))
    store_dataset(dataset, workspace.dataset, replace=True)
    return Checked(dataset, tuple(reader.problems[:_SHOWN_PROBLEMS]), reader.skipped, notes)


def describe(
    order: Order,
    checked: Checked,
    settings: Settings,
    on_event: Callable[[Event], None],
) -> dict[str, Any]:
    """Return what a validated job shows: targets, hyperparameters filled in, metadata, recipe, plan.

    Raises:
        RecipeError, RequestError, SourceError, DataError: the recipe, its base or the rows cannot train.
    """
    spec, dataset = order.spec, checked.dataset
    plan = plan_of(order, dataset, settings)
    try:
        found = estimate(plan.recipe, dataset, settings, on_event=on_event)
    except UsageError as error:  # a sharded model is not probed by one process
        found = None
        checked_notes = (*checked.notes, str(error))
    else:
        checked_notes = checked.notes
    steps, epochs = _length(plan, found)
    shown = portable(plan.recipe)
    return {
        "recipe": plan.name,
        "why": plan.why,
        "plan": plan.sentence,
        "family": plan.recipe.family,
        "processes": processes_of(plan.recipe),
        "bases": list(shown.base_names),
        "recipe_toml": shown.to_toml(),
        "targets": _targets(spec, dataset.schema),
        "hyperparameters": filled_hyperparameters(spec, plan.recipe, steps=steps, epochs=epochs),
        "metadata": _metadata(order, found, steps, epochs),
        "rows": {name: len(frame) for name, frame in dataset.splits.items()},
        "skipped_lines": checked.skipped_lines,
        "dataset_id": dataset.id,
        "ignored": list(plan.ignored),
        "notes": list(checked_notes),
    }


def plan_of(order: Order, dataset: Dataset, settings: Settings) -> Plan:
    """Return what an order trains on a dataset; the same for the same order, whenever it is asked."""
    return plan_job(order.spec, settings.job_aliases, len(dataset.splits[TRAIN]), wandb_mode=order.wandb_mode)


class _Tolerant:
    """Reads files, leaves bad lines out, and reads again, until all is right or too much is wrong."""

    def __init__(self, order: Order, workspace: Workspace) -> None:
        self._order, self._workspace = order, workspace
        self.files = _named_apart(order.files)
        self.problems: list[DataError] = []
        self._bad: dict[str, set[int]] = defaultdict(set)
        self._lines = {file.name: _count_lines(workspace.folder / file.path) for file in self.files}

    @property
    def skipped(self) -> int:
        """Return how many lines were left out."""
        return sum(map(len, self._bad.values()))

    def dataset(self) -> tuple[Dataset, tuple[str, ...]]:
        """Return the dataset of the lines that are right, and notes."""
        if self._order.spec.invalid_sample_skip_percentage > 0:
            for file in self.files:
                problems = Problems(limit=_ALL_PROBLEMS)
                path = str(self._path(file))
                read_records(path, self._reading(), self._meaning(), problems, name=file.name)
                if problems.total:
                    self._leave_out(problems.kept, problems.total)
        for _ in range(_ROUNDS):
            try:
                loaded = load_dataset(self._options(), files=self._given())
            except DataError as error:
                found = error.problems if isinstance(error, DataProblemsError) else (error,)
                total = error.total if isinstance(error, DataProblemsError) else 1
                self._leave_out(found, total)
            else:
                return loaded.dataset, loaded.notes
        raise self._too_many(len(self.problems))

    def own(self, notes: Sequence[str]) -> list[str]:
        """Return the notes that are of the files as they were given: lines left out here are told otherwise."""
        return [
            note
            for note in notes
            if not any(
                bad and note.startswith(f"{name}: {len(bad)} blank line") for name, bad in self._bad.items()
            )
        ]

    def _leave_out(self, found: Sequence[DataError], total: int) -> None:
        """Leave the lines of some problems out; raises where that is no way to go on."""
        self.problems += found[: _SHOWN_PROBLEMS - len(self.problems)]
        before = self.skipped
        for problem in found:
            if problem.line is None or problem.file not in self._lines:
                raise self._too_many(total)
            self._bad[problem.file].add(problem.line)
        share = self._order.spec.invalid_sample_skip_percentage
        for name, bad in self._bad.items():
            if len(bad) > share * self._lines[name]:
                raise self._too_many(total)
        if self.skipped == before:
            raise self._too_many(total)

    def _too_many(self, total: int) -> DataError:
        if total == 1 and len(self.problems) == 1:
            return self.problems[0]
        return DataProblemsError(self.problems, max(total, len(self.problems)))

    def _options(self) -> ImportOptions:
        return ImportOptions(
            sources=("training files",),
            out=self._workspace.dataset,
            reading=self._reading(),
            meaning=self._meaning(),
        )

    def _reading(self) -> Reading:
        return Reading(format="jsonl")

    def _meaning(self) -> Meaning:
        declared = {target.name: target.labels for target in self._order.spec.targets or ()}
        return Meaning(declared=declared, openai=any(file.openai for file in self.files))

    def _given(self) -> Mapping[str, list[GivenFile]]:
        given: dict[str, list[GivenFile]] = {}
        for file in self.files:
            stored = self._workspace.folder / file.path
            origin = {"sha256": file.sha256}
            given.setdefault(file.split, []).append(GivenFile(self._path(file), file.name, origin, stored))
        return given

    def _path(self, file: OrderedFile) -> Path:
        """Return a file whose bad lines are blank, so that the others keep their numbers."""
        path, bad = self._workspace.folder / file.path, self._bad.get(file.name)
        if not bad:
            return path
        cleaned = path.with_name(f"{path.name}.cleaned")
        with path.open("rb") as source, cleaned.open("wb") as target:
            for number, line in enumerate(source, start=1):
                target.write(b"\n" if number in bad else line)
        return cleaned


def _plain(note: str) -> str:
    """Return a note without what it says of a command line's options."""
    return re.sub(r"\s*[;(][^;()]*--[^()]*\)?$", "", note)


def _named_apart(files: Sequence[OrderedFile]) -> tuple[OrderedFile, ...]:
    """Return the files, each by a name that no other has: messages and weights go by it."""
    taken: set[str] = set()
    named = []
    for file in files:
        tried = itertools.chain([file.name], (f"{file.name} ({number})" for number in itertools.count(2)))
        name = next(name for name in tried if name not in taken)
        taken.add(name)
        named.append(replace(file, name=name))
    return tuple(named)


def _count_lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for line in stream if line.strip())


def _only_targets(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return a dataset of the declared targets alone, in the order they were declared."""
    found = {target.name: target for target in dataset.schema.targets}
    schema = Schema(tuple(found[name] for name in names), positive_above=dataset.schema.positive_above)
    others = {
        f"{target.name}/{label}"
        for name, target in found.items()
        if name not in names
        for label in target.labels
    }
    wanted = [f"{target.name}/{label}" for target in schema for label in target.labels]
    splits = {}
    for split, frame in dataset.splits.items():
        rest = [name for name in frame.columns if name not in {*INPUT_COLUMNS, *wanted, *others}]
        splits[split] = frame.select([*INPUT_COLUMNS, *wanted, *rest])
    return make_dataset(schema, splits, dataset.provenance)


def _weighted(dataset: Dataset, weights: Mapping[str, float]) -> Dataset:
    """Return a dataset whose training rows' weights are multiplied by those of their files."""
    if all(weight == 1.0 for weight in weights.values()):
        return dataset
    frame = dataset.splits[TRAIN]
    file = pl.col("source").str.replace(r":\d+$", "")
    factor = file.replace_strict(list(weights), [float(weight) for weight in weights.values()], default=1.0)
    splits = {**dataset.splits, TRAIN: frame.with_columns(weight=pl.col("weight") * factor)}
    return make_dataset(dataset.schema, splits, dataset.provenance)


def _overlap(dataset: Dataset) -> tuple[str, ...]:
    """Note rows that are both learned from and judged by."""
    others = [name for name in dataset.splits if name != TRAIN]
    if not others:
        return ()
    learned = set(content_hashes(dataset.splits[TRAIN]).to_list())
    judged = content_hashes(dataset.splits[others[0]]).to_list()
    same = sum(key in learned for key in judged)
    if not same:
        return ()
    return (
        f"{same:,} of {len(judged):,} validation rows are training rows, too: the validation loss flatters",
    )


def _targets(spec: JobSpec, schema: Schema) -> list[dict[str, Any]]:
    weights = {target.name: target.weight for target in spec.targets or ()}
    return [
        {
            "name": target.name,
            "kind": str(target.kind),
            "labels": list(target.labels),
            "weight": float(weights.get(target.name, 1.0)),
            "loss_function": str(LossFunction.of(target.kind)),
        }
        for target in schema.targets
    ]


def _length(plan: Plan, found: Estimate | None) -> tuple[int, float]:
    """Return the steps and epochs of the run whose model remains."""
    if isinstance(plan.recipe, FrozenRecipe):
        return plan.recipe.training.training_steps, 1.0
    if found is None:
        return plan.recipe.training.training_steps or 1, float(plan.recipe.training.epochs)
    return max(1, found.steps // max(1, found.runs)), float(found.epochs or plan.recipe.training.epochs)


def _metadata(order: Order, found: Estimate | None, steps: int, epochs: float) -> dict[str, Any]:
    """Return duration, cost and tokens in the words of the wire; one figure for each, the likely one."""
    empty = ("expected_duration_seconds", "train_tokens_per_step", "train_tokens", "data_tokens")
    told: dict[str, Any] = dict.fromkeys(empty)
    told |= {"cost": 0.0, "cost_currency": order.price_currency, "estimated_start_time": None}
    if found is None:
        return told
    seconds = found.seconds.likely
    return told | {
        "expected_duration_seconds": max(1, round(seconds)),
        "cost": round(order.price_per_hour * seconds / _SECONDS_PER_HOUR, 4),
        "train_tokens_per_step": max(1, found.tokens // steps),
        "train_tokens": int(found.tokens),
        "data_tokens": max(1, round(found.tokens / epochs)),
    }
