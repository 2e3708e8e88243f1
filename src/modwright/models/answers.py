"""A causal LM with its prompts: answers of texts as logits, in training and in scoring the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modwright.models.decoder import Decoder, Segment, States, torch
from modwright.models.heads import probabilities
from modwright.models.prompts import Prompts, Read, Reading
from modwright.schema import FloatArray, Schema

#: Rows of a batch may differ in length by this share, and by as many tokens, so that little of it is padding.
_SPREAD, _SPREAD_TOKENS = 0.1, 2


class Network(torch.nn.Module):  # type: ignore[misc]  # torch's types are not followed
    """The causal LM and a linear head for every target that is read by one: all weights of a model, under one root.

    Whatever uses the weights runs inside `forward`, so that who shards them knows when they are needed.

    Args:
        lm: from `load_causal`.
        heads: target name to its number of labels.
    """

    def __init__(self, lm: Any, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.lm = lm
        width = int(lm.config.get_text_config().hidden_size)
        self.head_names = tuple(heads)
        self.heads = torch.nn.ModuleList([torch.nn.Linear(width, labels) for labels in heads.values()])
        for head in self.heads:
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)

    def forward(self, work: Callable[[], Any]) -> Any:
        """Run work that uses the weights, and return what it returns."""
        return work()

    def head(self, target: str) -> Any:
        """Return the linear head of a target."""
        return self.heads[self.head_names.index(target)]


class Answers:
    """Prompts put to a network.

    Args:
        network: with a head for every target that is read by one.
        prompts: of the same base.
        constant: the weights do not change any more.
    """

    def __init__(self, network: Network, prompts: Prompts, *, constant: bool) -> None:
        self.network = network
        self.prompts = prompts
        self.decoder = Decoder(network.lm, constant=constant)

    def run(
        self, form: int, bodies: Sequence[Sequence[int]], asked: Sequence[Sequence[int]] | None = None
    ) -> States:
        """Run a batch: each body (segment 0) and behind it the endings that are asked, all of the form's by default."""
        what = self.prompts.forms[form]
        every = range(len(what.endings))
        rows = [
            [
                Segment(body),
                *(Segment(what.endings[ending], 0) for ending in (every if asked is None else asked[row])),
            ]
            for row, body in enumerate(bodies)
        ]
        return self.decoder.states(what.head, rows)

    def logits(self, reading: Reading, states: Any) -> Any:
        """Return what a target's answers weigh after M states (M, D), in float32.

        Returns:
            (M, L) log-odds or unnormalised log-probabilities of the labels; for questions (M,) log-odds of yes.
        """
        with torch.autocast(states.device.type, enabled=False):
            if reading.read is Read.HEAD:
                return self.network.head(reading.target.name)(states.float())
            found = self.decoder.logits(states, [word[0] for word in reading.words])
            return found if reading.read is Read.LABELS else found[:, 0] - found[:, 1]

    def window_scores(
        self, form: int, bodies: Sequence[Sequence[int]], max_batch_tokens: int
    ) -> dict[str, FloatArray]:
        """Return the window probabilities (W, L) of every target of a form."""
        what = self.prompts.forms[form]
        found = {
            reading.target.name: np.zeros((len(bodies), len(reading.target.labels)))
            for reading in what.readings
        }
        lengths = [len(body) + what.extra_tokens for body in bodies]
        for rows in near_batches(lengths, max_batch_tokens):
            batch = [bodies[row] for row in rows]
            scores = self.network(lambda batch=batch: self._scores(form, batch))
            for name, values in scores.items():
                found[name][rows] = values
        return found

    def _scores(self, form: int, bodies: Sequence[Sequence[int]]) -> dict[str, FloatArray]:
        states, found = self.run(form, bodies), {}
        for reading in self.prompts.forms[form].readings:
            target = reading.target
            places = [ends[1 + ending] for ends in states.ends for ending in reading.endings]
            logits = self.logits(reading, states.flat[places]).double().cpu().numpy()
            found[target.name] = probabilities(logits.reshape(len(bodies), len(target.labels)), target.kind)
        return found


def heads_of(schema: Schema, prompts: Prompts) -> dict[str, int]:
    """Return the targets that are read by a head, with their numbers of labels, in the schema's order."""
    read = {reading.target.name: reading.read for form in prompts.forms for reading in form.readings}
    return {target.name: len(target.labels) for target in schema if read[target.name] is Read.HEAD}


def near_batches(lengths: Sequence[int], max_batch_tokens: int) -> Iterator[list[int]]:
    """Yield row numbers in batches of nearly one length, at most `max_batch_tokens` tokens each (or one row)."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        longest = lengths[batch[0]] * (1 + _SPREAD) + _SPREAD_TOKENS if batch else 0
        if batch and (lengths[row] > longest or lengths[row] * (len(batch) + 1) > max_batch_tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
