"""Any server that answers classifications or moderations in Mistral's, OpenAI's or our own dialect."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from modwright.client.failures import Lost, Reply, body_of
from modwright.errors import IntegrityError, UsageError, nearest
from modwright.pipeline.against.answers import AnswerProgress, Answers, Failure, RowAnswer, gathered
from modwright.pipeline.against.refusals import refused
from modwright.pipeline.against.wire import Wire
from modwright.schema import Input, Schema, Target, TargetKind

#: Inputs of one request. Where it fails they are asked one by one, so that a text fails alone.
_BATCH = 32
_HALF = 0.5
_KINDS = ("classifications", "moderations")


class Endpoint:
    """A server's model, asked for classifications (targets and labels) or moderations (categories).

    The path says which: `/v1/classifications`, `/v1/moderations`, or the same below `/v1/chat`; without a path,
    classifications are asked for. Texts go to the plain path, conversations below `chat`. Categories are labels of the
    moderation target, or ``target/label``. Flags are the answer's own; where it has none, a label is flagged from 0.5 on.

    Args:
        renames: the server's label to ours, where they differ; of several that become one the highest score counts, and
            any flag.

    Raises:
        UsageError: the path is neither, or a label of ours is none.
    """

    remote = True

    def __init__(
        self,
        name: str,
        schema: Schema,
        wire: Wire,
        model: str | None,
        renames: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        prefix, kind = _route(wire.path)
        self.what = f"endpoint, asked for {kind}"
        self.notes: tuple[str, ...] = ()
        self._prefix, self._kind = prefix, kind
        self._schema, self._wire, self._model = schema, wire, model
        self._renames = dict(renames or {})
        _refuse_strangers(schema, self._renames)

    def answer(self, inputs: Sequence[Input], progress: AnswerProgress | None = None) -> Answers:
        """Ask for every input; one that gets no answer has failed."""
        batches = [inputs[begin : begin + _BATCH] for begin in range(0, len(inputs), _BATCH)]
        rows: list[RowAnswer | Failure] = []
        for found in self._wire.each(self._batch, batches):
            rows += found
            if progress is not None:
                progress(len(rows), len(inputs))
        return gathered(self._schema, rows, probabilities=True)

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()

    def _batch(self, inputs: Sequence[Input]) -> list[RowAnswer | Failure]:
        found = self._ask(inputs, counts=len(inputs) == 1)
        if len(inputs) == 1 or not any(isinstance(row, Failure) for row in found):
            return found
        return list(itertools.chain.from_iterable(self._ask([one]) for one in inputs))

    def _ask(self, inputs: Sequence[Input], *, counts: bool = True) -> list[RowAnswer | Failure]:
        """Send one request; where it fails as a whole, every row of it does."""
        chat = any(len(turns) > 1 or turns[-1].role != "user" for turns in inputs)
        shaped = [self._shaped(turns, chat) for turns in inputs]
        document: dict[str, Any] = {"input": shaped} | ({} if self._model is None else {"model": self._model})
        outcome = self._wire.ask(
            f"{self._prefix}{'/chat' if chat else ''}/{self._kind}", document, counts=counts
        )
        failed = failed_as(outcome)
        if failed is not None or not isinstance(outcome, Reply):
            return [failed or Failure.ERROR] * len(inputs)
        results = _results(outcome)
        if results is None or len(results) != len(inputs):
            return [Failure.UNPARSABLE] * len(inputs)
        return [self._read(result) for result in results]

    def _shaped(self, turns: Input, chat: bool) -> Any:
        if not chat:
            return turns[-1].content
        messages = [{"role": str(turn.role), "content": turn.content} for turn in turns]
        return messages if self._kind == "moderations" else {"messages": messages}

    def _read(self, result: Any) -> RowAnswer | Failure:
        if not isinstance(result, dict):
            return Failure.UNPARSABLE
        try:
            return self._moderation(result) if self._kind == "moderations" else self._classification(result)
        except (KeyError, TypeError, ValueError, AttributeError):
            return Failure.UNPARSABLE

    def _moderation(self, result: Mapping[str, Any]) -> RowAnswer:
        scores: dict[str, dict[str, float]] = {}
        flags: dict[str, set[str]] = {}
        flagged = result.get("categories", {})
        for category, value in result["category_scores"].items():
            target, label = self._ours(category)
            if target is None:
                continue
            score, found = _score(value), scores.setdefault(target.name, {})
            found[label] = max(score, found.get(label, 0.0))
            if flagged.get(category, score >= _HALF):
                flags.setdefault(target.name, set()).add(label)
        return RowAnswer(scores, {name: frozenset(labels) for name, labels in flags.items()})

    def _ours(self, category: str) -> tuple[Target | None, str]:
        """Return the target and label that a category stands for; no target where it is none of ours."""
        name = self._renames.get(category, category)
        moderation = self._schema.moderation_target
        if moderation is not None and name in moderation.labels:
            return moderation, name
        target_name, _, label = name.partition("/")
        for target in self._schema:
            if target.name == target_name and label in target.labels:
                return target, label
        return None, name

    def _classification(self, result: Mapping[str, Any]) -> RowAnswer:
        scores, flags = {}, {}
        for target in self._schema:
            if target.name not in result:
                continue
            found = result[target.name]
            named: dict[str, float] = {}
            for theirs, value in found["scores"].items():
                label = self._renames.get(theirs, theirs)
                named[label] = max(_score(value), named.get(label, 0.0))
            scores[target.name] = {label: value for label, value in named.items() if label in target.labels}
            if "flags" in found:
                flags[target.name] = frozenset(self._renames.get(label, label) for label in found["flags"])
            else:
                flags[target.name] = _from_scores(target, named)
        return RowAnswer(scores, flags)


def _refuse_strangers(schema: Schema, renames: Mapping[str, str]) -> None:
    """Raise UsageError for another name that no label has."""
    ours = [label for target in schema for label in target.labels]
    ours += [f"{target.name}/{label}" for target in schema for label in target.labels]
    for theirs, label in renames.items():
        if label not in ours:
            raise UsageError(
                f"'{label}', which '{theirs}' is to be, is no label of the model", remedy=nearest(label, ours)
            )


def _from_scores(target: Target, scores: Mapping[str, float]) -> frozenset[str]:
    """Return the labels that scores alone flag."""
    if target.kind is TargetKind.SINGLE_LABEL:
        return frozenset([max(scores, key=lambda label: scores[label])] if scores else [])
    return frozenset(label for label, score in scores.items() if score >= _HALF)


def _route(path: str) -> tuple[str, str]:
    """Return what comes before the path's last word, without `chat`, and that word."""
    *before, last = path.split("/")
    if last in _KINDS:
        return "/".join(before).removesuffix("/chat"), last
    if path in ("", "/v1"):
        return "/v1", _KINDS[0]
    raise UsageError(
        f"the path is '{path}'",
        where="the endpoint's address",
        remedy="expected /v1/classifications or /v1/moderations",
    )


def failed_as(outcome: Reply | Lost) -> Failure | None:
    """Return how a question failed; None where it was answered."""
    if isinstance(outcome, Lost) and outcome.too_long:
        return Failure.TOO_LONG
    if isinstance(outcome, Lost):
        return Failure.TIMED_OUT if outcome.timed_out else Failure.ERROR
    if outcome.succeeded:
        return None
    if outcome.status in (408, 504):
        return Failure.TIMED_OUT
    return Failure.REFUSED if refused(outcome) else Failure.ERROR


def _results(reply: Reply) -> list[Any] | None:
    try:
        document = body_of(reply)
    except IntegrityError:
        return None
    results = document.get("results") if isinstance(document, dict) else None
    return results if isinstance(results, list) else None


def _score(value: Any) -> float:
    """Return a probability; raises ValueError for anything else."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not (0 <= value <= 1 and math.isfinite(value))
    ):
        raise ValueError("is no probability")
    return float(value)
