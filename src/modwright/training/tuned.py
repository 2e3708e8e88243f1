"""How a fine-tuned model becomes one: runs whose held-out rows calibrate it, and the run that remains.

"folds": one run per fold judges the rows it has not seen; all of these together say how long to train, calibrate and set
thresholds; the model itself is trained on all rows. No fold chooses its own best look on the rows it is judged by: one
look is chosen for all of them, where they are best on average. "holdout": one run, judged by one part that it has not
seen.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from modwright.files import sha256_json
from modwright.recipe import TunedRecipe
from modwright.schema import FloatArray, IntArray, Schema
from modwright.training.checkpoints import CheckpointStore
from modwright.training.dealing import FINAL, deal, fold_name, hold_out, seen_in_one_fold, trains_nothing
from modwright.training.events import Event, RunStarted, Stage, Warned
from modwright.training.fitted import OUT_OF_FOLD, Fitted, Unseen, decided
from modwright.training.fold_results import FoldResult, FoldResults, JudgedFold, rows_digest
from modwright.training.history import best_together
from modwright.training.looking import Judge, Look
from modwright.training.loop import Outcome, run
from modwright.training.parallel import Elsewhere, Parallel, Single
from modwright.training.plan import Plan, plan_of
from modwright.training.rows import TrainingRows
from modwright.training.task import Task, TunedFamily


def fit_tuned(
    recipe: TunedRecipe,
    schema: Schema,
    rows: TrainingRows,
    family: TunedFamily,
    *,
    validation: TrainingRows | None = None,
    checkpoints: Path | None = None,
    parallel: Parallel | None = None,
) -> Generator[Event, None, Fitted]:
    """Train on rows as the recipe says, yielding events, returning the fit.

    Called again with the same arguments after a kill, it goes on: a finished fold is not trained again, and a run that
    was under way resumes.

    Args:
        recipe: of a fine-tuned family.
        schema: the targets of the rows.
        rows: what is trained on; held-out rows are carved from them by group.
        family: makes tasks and classifiers.
        validation: with "holdout" what the run is judged on; with "folds" only measured.
        checkpoints: a folder for the states of all runs, None keeps nothing.
        parallel: the processes that train together.

    Raises:
        DataError: too few groups, or a part without one known positive and one known negative.
        RecipeError: an unknown metric.
        TrainingError: as `loop.run`.
    """
    parallel = parallel or Single()
    deciding = [rows]
    if validation is not None and recipe.validation.method == "holdout":
        deciding.append(validation)
    digest = sha256_json([rows_digest(some) for some in deciding])
    fit = _Fit(recipe, schema, rows, family, validation, checkpoints, parallel, digest)
    task, unseen = yield from (fit.by_folds() if recipe.validation.method == "folds" else fit.by_holdout())
    yield Stage("calibrate")
    decisions, unseen = decided(recipe, schema, unseen.name, unseen.rows, unseen.scores)
    classifier = family.classifier(task) if parallel.rank == 0 else Elsewhere(schema)
    return Fitted(classifier, decisions, unseen)


@dataclass(frozen=True, slots=True)
class _Fit:
    """What all runs of one fit share."""

    recipe: TunedRecipe
    schema: Schema
    rows: TrainingRows
    family: TunedFamily
    validation: TrainingRows | None
    checkpoints: Path | None
    parallel: Parallel
    digest: str

    def by_folds(self) -> Generator[Event, None, tuple[Task, Unseen]]:
        """Return the model trained on all rows, and the raw scores of all rows out of fold."""
        if trains_nothing(self.recipe):
            return self._untrained(OUT_OF_FOLD, self.rows)
        fold = deal(self.recipe, self.schema, self.rows)
        number = int(fold.max()) + 1
        if rare := seen_in_one_fold(self.schema, self.rows, fold):
            yield Warned(
                f"all positives of {', '.join(rare)} stand in one fold: out of fold they are judged by a model that has "
                "seen none; give more rows of them"
            )
        results = []
        for held in range(number):
            results.append((yield from self._fold(held, number, fold)))
        place = best_together([[look.value for look in result.looks] for result in results])
        judged = [result.looks[place] for result in results]
        share = float(np.median([one.share for one in judged]))
        if not share:
            yield _untouched("the folds together")
        scores = {target.name: np.zeros((len(fold), len(target.labels))) for target in self.schema}
        for held, one in enumerate(judged):
            for name, values in one.scores.items():
                scores[name][fold == held] = values
        task = self._task(self.rows)
        plan = self._plan(task)
        plan = plan.ending(round(share * plan.steps))
        look = None if self.validation is None else self._look(task, self.validation, "loss")
        yield from self._run(FINAL, FINAL, task, plan, look)
        return self._alone(task, self.rows), Unseen(OUT_OF_FOLD, self.rows, scores)

    def by_holdout(self) -> Generator[Event, None, tuple[Task, Unseen]]:
        """Return the model trained on the rest, and the raw scores of the part held out."""
        name, train, held = hold_out(self.recipe, self.schema, self.rows, self.validation)
        if trains_nothing(self.recipe):
            return self._untrained(name, held)
        task = self._task(train)
        look = self._look(task, held, self.recipe.validation.metric)
        yield from self._run(FINAL, FINAL, task, self._plan(task), look)
        task = self._alone(task, train)
        yield Stage("score held-out rows", 0, len(held.inputs))
        return task, Unseen(name, held, self._scores(task, held))

    def _fold(self, held: int, number: int, fold: IntArray) -> Generator[Event, None, FoldResult]:
        """Train on all folds but one and return that one's raw scores, of every look where one is to be chosen.

        They are read where that was done before.
        """
        results = self._results(f"fold-{held}")
        there = results.read(self.schema, int((fold == held).sum())) if results is not None else None
        name = fold_name(held, number)
        if there is not None:
            yield Stage(f"{name}, trained before", 1, 1)
            self._clear(f"fold-{held}")
            return there
        train = self.rows.take(np.flatnonzero(fold != held))
        task = self._task(train)
        judged = self.rows.take(np.flatnonzero(fold == held))
        plan = self._plan(task)
        chooses = plan.keep == "best"
        look = self._look(task, judged, self.recipe.validation.metric, keeps_scores=chooses)
        outcome = yield from self._run(f"fold-{held}", name, task, replace(plan, keep="last"), look)
        looks = [
            JudgedFold(seen.step / plan.steps, seen.value, seen.scores)
            for seen in outcome.looks
            if seen.scores is not None
        ]
        if not chooses:
            scores = self._scores(self._alone(task, train), judged)
            looks = [JudgedFold(outcome.steps / plan.steps, 0.0, scores)]
        result = FoldResult(tuple(looks))
        if results is not None:
            results.write(result)
        self._clear(f"fold-{held}")
        return result

    def _clear(self, folder: str) -> None:
        """Remove the checkpoints of a run that is over."""
        store = self._store(folder)
        if store is not None:
            store.clear()

    def _run(
        self, folder: str, name: str, task: Task, plan: Plan, look: Callable[[], Look] | None
    ) -> Generator[Event, None, Outcome]:
        yield RunStarted(name, plan.ends)
        store = self._store(folder, plan)
        outcome = yield from run(task, plan, store=store, look=look, parallel=self.parallel)
        if outcome.steps and not outcome.kept:
            yield _untouched(name)
        return outcome

    def _plan(self, task: Task) -> Plan:
        return plan_of(self.recipe, task.lengths)

    def _look(
        self, task: Task, rows: TrainingRows, metric: str, *, keeps_scores: bool = False
    ) -> Callable[[], Look]:
        judge = Judge(self.schema, rows, metric)

        def look() -> Look:
            scores = task.scores(rows.inputs, exact=False)
            found = judge.look(scores)
            return replace(found, scores=scores) if keeps_scores else found

        return look

    def _task(self, rows: TrainingRows) -> Task:
        return self.parallel.made(lambda: self.family.task(rows, self.recipe.seed))

    def _alone(self, task: Task, rows: TrainingRows) -> Task:
        return self.parallel.alone(task, lambda: self.family.task(rows, self.recipe.seed))

    def _scores(self, task: Task, rows: TrainingRows) -> dict[str, FloatArray]:
        """Return what one process computes of a task that is not sharded, or no more."""
        shapes = {target.name: (len(rows.inputs), len(target.labels)) for target in self.schema}
        return self.parallel.told(lambda: task.scores(rows.inputs, exact=True), shapes)

    def _untrained(self, name: str, rows: TrainingRows) -> tuple[Task, Unseen]:
        """Return the base as it is: rows it was not trained on are unseen, all of them."""
        task = self._task(self.rows)
        return task, Unseen(name, rows, self._scores(task, rows))

    def _store(self, folder: str, plan: Plan | None = None) -> CheckpointStore | None:
        if self.checkpoints is None:
            return None
        kept = self.recipe.checkpoints
        return CheckpointStore(
            self.checkpoints / folder,
            keep_last=kept.keep_last,
            keep_best=kept.keep_best if folder == FINAL else 0,  # no fold goes back to weights
            run=self._identity(folder, plan),
            parallel=self.parallel,
        )

    def _results(self, folder: str) -> FoldResults | None:
        if self.checkpoints is None:
            return None
        return FoldResults(self.checkpoints / folder / "result", self._identity(folder, None), self.parallel)

    def _identity(self, folder: str, plan: Plan | None) -> str:
        """Return what tells this run from any other: recipe, rows, schema, fold, and where it ends."""
        ends = None if plan is None else [plan.steps, plan.ends, plan.keep]
        return sha256_json([folder, ends, self.recipe.deciding(), self.schema.to_json(), self.digest])


def _untouched(name: str) -> Warned:
    return Warned(
        f"{name}: no look was better than the one before training, so the weights are those of before; lower "
        "optimizer.learning_rate, or look at the labels"
    )
