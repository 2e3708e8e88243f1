"""Any family's training behind a normaliser: it learns from normalised inputs, and its model reads no others."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from modwright.models.normalise import Normaliser
from modwright.models.normalised import normalised
from modwright.schema import Input
from modwright.training.events import Event
from modwright.training.fitted import Fitted
from modwright.training.rows import TrainingRows

#: Trains on rows and validation rows, or none.
Trainer = Callable[[TrainingRows, TrainingRows | None], Generator[Event, None, Fitted]]


def fit_normalised(
    trainer: Trainer, normaliser: Normaliser, rows: TrainingRows, validation: TrainingRows | None
) -> Generator[Event, None, Fitted]:
    """Train on normalised rows and return a fit that takes texts as they come, its unseen rows being the ones given.

    Args:
        trainer: of some family; the rows it holds out are the very objects it was given.
        normaliser: without steps, the trainer's own fit is returned.
    """
    if not normaliser.steps:
        return (yield from trainer(rows, validation))
    read, held = _read(normaliser, rows), None if validation is None else _read(normaliser, validation)
    fitted = yield from trainer(read, held)
    given = _given(rows, read) | ({} if validation is None or held is None else _given(validation, held))
    unseen = fitted.unseen
    inputs = [given[id(value)] for value in unseen.rows.inputs]
    return replace(
        fitted,
        classifier=normalised(fitted.classifier, normaliser),
        unseen=replace(unseen, rows=replace(unseen.rows, inputs=inputs)),
    )


def _read(normaliser: Normaliser, rows: TrainingRows) -> TrainingRows:
    return replace(rows, inputs=normaliser.inputs(rows.inputs))


def _given(rows: TrainingRows, read: TrainingRows) -> dict[int, Input]:
    """Return the input that was given for each that was read, by that one's identity."""
    return {id(after): before for before, after in zip(rows.inputs, read.inputs, strict=True)}
