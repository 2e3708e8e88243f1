"""Which words moved a score: each is left out, and the rest is scored again.

Occlusion asks nothing of a model but scores, so it is the same for every family and for a model brought in. The effect
of a word is by how much the log-odds of the label fall without it (Li, Monroe and Jurafsky 2016, "Understanding Neural
Networks through Representation Erasure"); a probability near 0 or 1 hardly moves although the model's mind does. How
far the words named explain the score is shown as DeYoung et al. 2020 (ERASER) measure it: the score without all of them,
and the score of nothing but them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.pieces import (
    Piece,
    only,
    run_pieces,
    split_piece,
    turn_pieces,
    without,
    word_pieces,
)
from modwright.evaluation.scored import Scorer
from modwright.schema import FloatArray, Input, Schema

#: Turns scores before calibration, target to (N, L), into calibrated ones.
Calibrate = Callable[[Mapping[str, FloatArray]], Mapping[str, FloatArray]]

#: Most scorings of one text, unless told otherwise.
SCORINGS = 256
#: Words named as the reasons of a score: at most these, and at most this share of all.
MOST_REASONS = 5
REASONS_SHARE = 0.25
#: Inputs scored at once.
BATCH = 64
#: A word that changes the log-odds by less has no part in a score.
NEGLIGIBLE = 0.05
_EDGE = 1e-7


@dataclass(frozen=True, slots=True)
class LabelEffects:
    """How the pieces of an input moved the score of one label.

    Attributes:
        score: calibrated, of the whole input.
        effects: (U,) by how much the log-odds, before calibration, are higher with the piece than without it.
        scores_without: (U,) calibrated, without the piece.
        reasons: places of the pieces that raise the score most, the strongest first.
        without_reasons, only_reasons: calibrated score without all of the reasons, and of nothing else; None where no
            piece raises it.
    """

    target: str
    label: str
    score: float
    effects: FloatArray
    scores_without: FloatArray
    reasons: tuple[int, ...]
    without_reasons: float | None
    only_reasons: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the pieces of one input did.

    Attributes:
        pieces: U of them.
        labels: those asked for, in that order.
        scorings: how many inputs were scored.
        in_runs: the text was too long for every word, and words that do little by the run are shown by the run.
    """

    input: Input
    pieces: tuple[Piece, ...]
    labels: tuple[LabelEffects, ...]
    scorings: int
    in_runs: bool

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON-ready data; spans are [turn, begin, end] in characters."""
        return {
            "turns": [{"role": str(message.role), "content": message.content} for message in self.input],
            "pieces": [
                {"text": piece.text, "spans": [[span.turn, span.begin, span.end] for span in piece.spans]}
                for piece in self.pieces
            ],
            "labels": [_label_json(found) for found in self.labels],
            "scorings": self.scorings,
            "in_runs": self.in_runs,
        }


def _label_json(found: LabelEffects) -> dict[str, Any]:
    return {
        "target": found.target,
        "label": found.label,
        "score": found.score,
        "effects": [round(float(effect), 4) for effect in found.effects],
        "scores_without": [round(float(score), 6) for score in found.scores_without],
        "reasons": list(found.reasons),
        "without_reasons": found.without_reasons,
        "only_reasons": found.only_reasons,
    }


def explain(
    value: Input,
    schema: Schema,
    score: Scorer,
    calibrate: Calibrate,
    labels: Sequence[tuple[str, str]],
    *,
    scorings: int = SCORINGS,
) -> Explanation:
    """Explain the scores of one input.

    Every word of the last turn is left out, all its occurrences together, and every earlier turn. Where that would be
    more than `scorings`, runs of words are left out instead, half as many, and as many of the strongest runs as the rest
    allows are then taken apart.

    Args:
        score: inputs to scores before calibration, target to (N, L).
        calibrate: such scores to calibrated ones.
        labels: pairs of target and label to explain.
        scorings: at most about so many inputs are scored.

    Raises:
        UsageError: no label to explain, or fewer than 8 scorings.
        SchemaError: a target or label that is not of the schema.
    """
    if not labels:
        raise UsageError("there is no label to explain")
    if scorings < 8:
        raise UsageError(f"scorings is {scorings}, expected at least 8")
    places = [(target, schema.target(target).index(label)) for target, label in labels]
    run = _Run(value, score, calibrate, places)
    pieces = word_pieces(value)
    in_runs = 1 + len(pieces) + 2 * len(labels) > scorings
    if in_runs:
        pieces = run.refined(scorings)
    effects, behind = run.effects(pieces)
    found = tuple(
        run.label(names, number, pieces, effects[:, number], behind[:, number])
        for number, names in enumerate(labels)
    )
    return Explanation(value, tuple(pieces), found, run.scorings, in_runs)


class _Run:
    """The scorings of one input; scores are in columns, one per label asked for."""

    def __init__(
        self, value: Input, score: Scorer, calibrate: Calibrate, places: Sequence[tuple[str, int]]
    ) -> None:
        self.value = value
        self._score = score
        self._calibrate = calibrate
        self._places = places
        self.scorings = 0
        self._known: dict[Piece, tuple[FloatArray, FloatArray]] = {}
        odds, calibrated = self.scored([value])
        self.odds, self.calibrated = odds[0], calibrated[0]

    def scored(self, inputs: Sequence[Input]) -> tuple[FloatArray, FloatArray]:
        """Return log-odds before calibration and calibrated scores, both (N, columns)."""
        self.scorings += len(inputs)
        odds, calibrated = [], []
        for begin in range(0, len(inputs), BATCH):
            raw = self._score(inputs[begin : begin + BATCH])
            odds.append(_log_odds(self._columns(raw)))
            calibrated.append(self._columns(self._calibrate(raw)))
        return np.concatenate(odds), np.concatenate(calibrated)

    def _columns(self, scores: Mapping[str, FloatArray]) -> FloatArray:
        return np.stack([scores[target][:, place] for target, place in self._places], axis=1)

    def effects(self, pieces: Sequence[Piece]) -> tuple[FloatArray, FloatArray]:
        """Return effects and calibrated scores without each piece, both (U, columns); a piece is scored once."""
        new = [piece for piece in pieces if piece not in self._known]
        if new:
            odds, calibrated = self.scored([without(self.value, [piece]) for piece in new])
            effects = self.odds - odds
            self._known |= {piece: (effects[n], calibrated[n]) for n, piece in enumerate(new)}
        shape = (len(pieces), len(self._places))
        found = [self._known[piece] for piece in pieces]
        return (
            np.array([effect for effect, _ in found]).reshape(shape),
            np.array([score for _, score in found]).reshape(shape),
        )

    def refined(self, scorings: int) -> list[Piece]:
        """Return runs of words, the strongest taken apart into words, in the order of the text; then earlier turns."""
        turns = turn_pieces(self.value)[-scorings // 4 :]
        runs = run_pieces(self.value, scorings // 2 - len(turns))
        strength = np.abs(self.effects(runs)[0]).max(axis=1)
        left, parts = scorings // 2 - 2 * len(self._places), {}
        for place in np.argsort(-strength, kind="stable"):
            split = split_piece(self.value, runs[place])
            if len(split) > left:
                break
            parts[int(place)] = split
            left -= len(split)
        return [piece for place, run in enumerate(runs) for piece in parts.get(place, [run])] + turns

    def label(
        self,
        names: tuple[str, str],
        column: int,
        pieces: Sequence[Piece],
        effects: FloatArray,
        behind: FloatArray,
    ) -> LabelEffects:
        """Gather what the pieces did to one label, and score it without its reasons and with nothing else."""
        reasons = _reasons(effects)
        rest = alone = None
        if reasons:
            named = [pieces[place] for place in reasons]
            calibrated = self.scored([without(self.value, named), only(self.value, named)])[1]
            rest, alone = float(calibrated[0, column]), float(calibrated[1, column])
        score = float(self.calibrated[column])
        return LabelEffects(*names, score, effects, behind, reasons, rest, alone)


def _reasons(effects: FloatArray) -> tuple[int, ...]:
    """Return the places of the pieces that raise a score most, the strongest first."""
    most = min(MOST_REASONS, max(1, round(REASONS_SHARE * len(effects))))
    strongest = np.argsort(-effects, kind="stable")[:most]
    return tuple(int(place) for place in strongest if effects[place] > NEGLIGIBLE)


def _log_odds(scores: FloatArray) -> FloatArray:
    inside = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float64)
