"""A judgement read as a moderation: yes or no per category, in the way `/v1/moderations` answers."""

from __future__ import annotations

from dataclasses import dataclass

from modwright.schema import Schema
from modwright.serving.engine import Judgement


@dataclass(frozen=True, slots=True)
class Moderation:
    """What is flagged of one input.

    Attributes:
        categories: every label that may be flagged, in order; never a negative one. Keys are labels of the
            moderation target, or ``target/label`` where a model has several targets and none is it.
        scores: the same keys to calibrated probabilities.
        span: characters [from, to) of the judged text: the window that decided.
    """

    categories: dict[str, bool]
    scores: dict[str, float]
    span: tuple[int, int]

    @property
    def flagged(self) -> bool:
        """Return whether any category is."""
        return any(self.categories.values())


def moderate(schema: Schema, judgement: Judgement) -> Moderation:
    """Read a judgement as a moderation."""
    only = schema.moderation_target
    categories: dict[str, bool] = {}
    scores: dict[str, float] = {}
    for target in schema if only is None else (only,):
        answer = judgement.targets[target.name]
        for label in target.flaggable:
            key = label if only is not None else f"{target.name}/{label}"
            categories[key] = label in answer.flags
            scores[key] = answer.scores[label]
    return Moderation(
        categories, scores, judgement.span if only is None else judgement.targets[only.name].span
    )
