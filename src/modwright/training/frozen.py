"""How a frozen classifier becomes one: features, heads chosen out of fold, calibration, the final fit."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modwright.data.split import folds
from modwright.models.embedding_cache import EmbeddingCache
from modwright.models.features import Features, Featuriser, FrozenBase, Progress
from modwright.models.frozen import FrozenClassifier
from modwright.models.heads import Head, HeadKind, probabilities
from modwright.models.windows import SingleLabelRule, combine
from modwright.recipe import FrozenRecipe
from modwright.schema import Float32Array, FloatArray, Input, IntArray, Schema, Target
from modwright.training.basis import Basis, make_basis, median_squared_distance, pick_landmarks
from modwright.training.documents import Documents, whole_rows
from modwright.training.events import Chosen, Event, Stage, Step, Warned
from modwright.training.fitted import OUT_OF_FOLD, Fitted, decided
from modwright.training.rows import TrainingRows
from modwright.training.selection import HeadChoice, Question, document_log_loss, fits_of_round, out_of_fold
from modwright.training.solver import FINAL_TOLERANCE, Solution, solve
from modwright.training.window_length import window_rule

#: The validation loss is measured at every so many steps, and at the last.
VALIDATION_EVERY = 25


@dataclass(frozen=True, slots=True)
class FrozenFit(Fitted):
    """A trained frozen model.

    Attributes:
        choices: target to the head it got.
    """

    classifier: FrozenClassifier
    choices: dict[str, HeadChoice]


def fit(
    recipe: FrozenRecipe,
    schema: Schema,
    rows: TrainingRows,
    bases: Sequence[FrozenBase],
    *,
    validation: TrainingRows | None = None,
    caches: Sequence[EmbeddingCache] | None = None,
    progress: Progress | None = None,
) -> Generator[Event, None, FrozenFit]:
    """Train on rows, yielding events, returning the fit; nothing is chosen on other rows than these.

    Args:
        recipe: of the family frozen.
        schema: the targets of the rows.
        rows: at least as many groups as two folds need.
        bases: as the recipe names them.
        validation: only measured, never chosen on.
        caches: one per base, or None.
        progress: told how far embedding is.

    Raises:
        DataError: too few groups for two folds.
    """
    if recipe.training.learning_rate is not None:
        yield Warned("learning_rate is ignored: the solver of the family 'frozen' sets its own step")
    yield Stage("embed", 0, len(rows.inputs))
    featuriser = featuriser_of(recipe, rows.inputs, bases)
    features = featuriser(rows.inputs, caches=caches, progress=progress)
    yield Stage("embed", len(rows.inputs), len(rows.inputs))
    landmarks = pick_landmarks(features.rows, recipe.head.max_landmarks, recipe.seed)
    bench = _Bench(recipe, schema, rows, features, landmarks)
    choices, scores = yield from bench.choose_all()
    decisions, unseen = decided(recipe, schema, OUT_OF_FOLD, rows, scores)
    held = None if validation is None else (validation, featuriser(validation.inputs, caches=caches))
    solutions = yield from bench.final_fit(choices, held)
    uses_kernel = any(choice.kind is HeadKind.RBF for choice in choices.values())
    kept = landmarks if uses_kernel else landmarks[:0]
    classifier = FrozenClassifier(schema, featuriser, bench.heads(solutions, choices), kept)
    return FrozenFit(classifier, decisions, unseen, choices)


def featuriser_of(recipe: FrozenRecipe, inputs: Sequence[Input], bases: Sequence[FrozenBase]) -> Featuriser:
    """Return what turns inputs into features, its windows as long as the recipe says for these inputs."""
    lengths = bases[0].tokenizer.lengths([value[-1].content for value in inputs])
    most = min(base.max_tokens for base in bases)
    rule = window_rule(recipe.window, lengths, most)
    return Featuriser(
        bases,
        rule,
        uses_context=any(len(value) > 1 for value in inputs),
        max_batch_tokens=recipe.embedding.max_batch_tokens,
    )


class _Bench:
    """The training rows as features, and the bases of heads that were tried on them."""

    def __init__(
        self,
        recipe: FrozenRecipe,
        schema: Schema,
        rows: TrainingRows,
        features: Features,
        landmarks: Float32Array,
    ) -> None:
        self._recipe = recipe
        self._schema = schema
        self._rows = rows
        self._features = features
        self._landmarks = landmarks
        self._unit = 1.0 / median_squared_distance(landmarks)
        self._documents = Documents.of(features.starts, len(features.rows), rows.weights)
        self._rule = SingleLabelRule(recipe.window.single_label)
        self._bases: dict[tuple[HeadKind, float], Basis] = {}
        together = np.concatenate([rows.labels[target.name] for target in schema], axis=1)
        number = max(2, min(recipe.head.folds, len(set(rows.groups))))
        self._fold = folds(rows.groups, together, number, recipe.seed)

    def choose_all(self) -> Generator[Event, None, tuple[dict[str, HeadChoice], dict[str, FloatArray]]]:
        """Choose the head of every target; return them and their scores out of fold (N, L)."""
        choices, scores = {}, {}
        for number, target in enumerate(self._schema):
            yield Stage("choose heads", number, len(self._schema.targets))
            choice, scores[target.name] = self.choose(target)
            choices[target.name] = choice
            yield Chosen(target.name, str(choice.kind), choice.c, choice.gamma, choice.log_loss)
        return choices, scores

    def choose(self, target: Target) -> tuple[HeadChoice, FloatArray]:
        """Return the best head of a target and its scores out of fold (N, L), uncalibrated.

        Heads are compared on fits that have nearly settled; the scores come of fits as settled as the final one.
        """
        some = self._selection_rows()
        question = self._question(target, some)
        best: HeadChoice | None = None
        for kind, gamma in self._shapes():
            basis = self.basis_of(kind, gamma) if some is None else self._build(kind, gamma, some)
            for c, scores in out_of_fold(basis, question, self._recipe.head.c):
                loss = document_log_loss(target, scores, question.truth, question.documents.weights)
                if best is None or loss < best.log_loss:
                    best = HeadChoice(kind, c, gamma, loss)
        assert best is not None
        question = self._question(target, None)
        settled = out_of_fold(self.basis(best), question, [best.c], tolerance=FINAL_TOLERANCE)
        return best, next(iter(settled))[1]

    def final_fit(
        self, choices: Mapping[str, HeadChoice], held: tuple[TrainingRows, Features] | None
    ) -> Generator[Event, None, dict[str, Solution]]:
        """Fit every target on all rows; each step is one iteration of every target that has not settled."""
        fits = {target.name: self._fit_steps(target, choices[target.name]) for target in self._schema}
        most = self._recipe.training.training_steps
        solutions: dict[str, Solution] = {}
        for number, (solutions, last) in enumerate(_abreast(fits, most), start=1):
            measure = held is not None and (last or number % VALIDATION_EVERY == 0)
            yield Step(
                number,
                self._train_loss(solutions, choices),
                self._valid_loss(solutions, choices, *held) if measure and held is not None else None,
            )
        unsettled = [name for name, solution in solutions.items() if not solution.settled]
        if unsettled:
            yield Warned(
                f"the fit of {', '.join(map(repr, unsettled))} was stopped by training_steps = {most} before it had settled"
            )
        return solutions

    def _fit_steps(self, target: Target, choice: HeadChoice) -> Iterator[Solution]:
        """Yield the solution after every iteration, round after round, until the last round has settled."""
        basis, question = self.basis(choice), self._question(target, None)
        size = len(target.labels)
        seen, c = np.ones((len(basis.rows), size)), np.full(size, choice.c)
        solution: Solution | None = None
        for _ in range(question.passes):
            steps = solve(basis, fits_of_round(basis, question, seen, c, solution), solution)
            for number, latest in enumerate(steps, start=1):
                solution = latest
                yield latest
                if latest.settled or number == question.steps_a_pass:
                    break

    def _train_loss(self, solutions: Mapping[str, Solution], choices: Mapping[str, HeadChoice]) -> float:
        logits = {
            name: solution.logits(self.basis(choices[name]).rows) for name, solution in solutions.items()
        }
        return self._loss(logits, self._rows, self._features.starts)

    def _valid_loss(
        self,
        solutions: Mapping[str, Solution],
        choices: Mapping[str, HeadChoice],
        rows: TrainingRows,
        features: Features,
    ) -> float:
        heads = self.heads(solutions, choices)
        logits = {name: head.logits(features.rows, self._landmarks) for name, head in heads.items()}
        return self._loss(logits, rows, features.starts)

    def _loss(self, logits: Mapping[str, FloatArray], rows: TrainingRows, starts: IntArray) -> float:
        """Return the mean over targets of the documents' masked log-loss, uncalibrated; logits are (W, L)."""
        losses = []
        for target in self._schema:
            scores, _ = combine(target, probabilities(logits[target.name], target.kind), starts, self._rule)
            losses.append(document_log_loss(target, scores, rows.labels[target.name], rows.weights))
        return float(np.mean(losses))

    def heads(self, solutions: Mapping[str, Solution], choices: Mapping[str, HeadChoice]) -> dict[str, Head]:
        """Return each target's solution as a head on plain features."""
        return {
            name: self.basis(choices[name]).head(solution.theta, solution.bias)
            for name, solution in solutions.items()
        }

    def basis(self, choice: HeadChoice) -> Basis:
        """Return the basis of a chosen head over all rows."""
        return self.basis_of(choice.kind, choice.gamma)

    def basis_of(self, kind: HeadKind, gamma: float) -> Basis:
        """Return a basis over all rows, made once."""
        if (kind, gamma) not in self._bases:
            self._bases[kind, gamma] = self._build(kind, gamma, None)
        return self._bases[kind, gamma]

    def _build(self, kind: HeadKind, gamma: float, some: IntArray | None) -> Basis:
        documents = self._documents
        windows = np.arange(len(documents.owner)) if some is None else _windows_of(documents, some)
        return make_basis(
            self._features.rows[windows], documents.row_weights[windows], self._landmarks, kind, gamma
        )

    def _shapes(self) -> Iterator[tuple[HeadKind, float]]:
        for kind in map(HeadKind, self._recipe.head.kinds):
            if kind is HeadKind.LINEAR:
                yield kind, 0.0
            else:
                yield from ((kind, self._unit * gamma) for gamma in self._recipe.head.gamma)

    def _selection_rows(self) -> IntArray | None:
        """Return the documents that heads are compared on, None for all."""
        total, most = len(self._rows.inputs), self._recipe.head.selection_rows
        if total <= most:
            return None
        return np.sort(np.random.default_rng(self._recipe.seed).choice(total, size=most, replace=False))

    def _question(self, target: Target, some: IntArray | None) -> Question:
        documents, fold = self._documents, self._fold
        truth = whole_rows(target, self._rows.labels[target.name])
        if some is not None:
            counts = np.bincount(documents.owner, minlength=len(documents.starts))[some]
            starts = (np.cumsum(counts) - counts).astype(np.int64)
            documents = Documents.of(starts, int(counts.sum()), documents.weights[some])
            fold, truth = fold[some], truth[some]
        return Question(
            target,
            truth,
            fold,
            documents,
            self._rule,
            self._recipe.window.rounds,
            self._recipe.training.training_steps,
        )


def _abreast(fits: Mapping[str, Iterator[Solution]], most: int) -> Iterator[tuple[dict[str, Solution], bool]]:
    """Advance several fits together; yield the latest solutions after each step, and whether it was the last.

    Every fit gives at least one solution, and ends when it has settled or after `most` steps.
    """
    latest: dict[str, Solution] = {}
    ahead = {name: next(fit, None) for name, fit in fits.items()}
    for number in range(1, most + 1):
        moved = {name: solution for name, solution in ahead.items() if solution is not None}
        latest |= moved
        ahead = {} if number == most else {name: next(fits[name], None) for name in moved}
        last = not any(solution is not None for solution in ahead.values())
        yield dict(latest), last
        if last:
            return


def _windows_of(documents: Documents, some: IntArray) -> IntArray:
    chosen = np.zeros(len(documents.starts), dtype=bool)
    chosen[some] = True
    return np.flatnonzero(chosen[documents.owner])
