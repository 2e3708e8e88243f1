"""A saved model in a fresh process against the process that trained it; exported graphs against torch.

    python benchmarks/reload.py [--cases "encoder, texts" ...] [--real]

Each case is trained (tiny models of random weights; with --real also all-MiniLM-L6-v2 and SmolLM2-135M for a few steps),
judged in the training process, and saved. A fresh process loads the folder and judges the same inputs again: at once, one
by one, and shuffled in batches of seven; decoders with shorter rows padded on the right and on the left; bases whose
tokenizer files ask for padding, on either side. The largest difference of a calibrated score goes to
benchmarks/results/reload.json; 1e-4 is allowed. Encoders' graphs are compared with torch, which reads the saved weights
anew, at several shapes and masks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import RESULTS, TUNED_PACKAGES, Book, silent
from modwright.artifact import read_artifact
from modwright.files import read_json, write_json
from modwright.pipeline.fitting import fit_rows, save_trained
from modwright.recipe import Recipe, load_recipe
from modwright.schema import FloatArray, Input, Message, Role, Schema, pair_input, text_input
from modwright.serving.engine import Engine
from modwright.settings import load_settings
from modwright.testing import (
    HARMLESS_SENTENCES,
    TINY_SCHEMA,
    make_tiny_base,
    make_tiny_causal,
    tiny_causal_recipe,
    tiny_encoder_recipe,
    tiny_recipe,
    tiny_rows,
    tiny_texts,
)
from modwright.training.rows import TrainingRows

ALLOWED = 1e-4
_BATCH = 7
_SHORT = ("training.epochs=2", "evaluation.resamples=0", "validation.method=holdout", "validation.share=0.3")
_REAL = ("training.training_steps=4", "evaluation.resamples=0", "validation.method=holdout")
#: Batch, tokens, and which tokens the mask leaves out: rows 1, 2, … are shorter, on either side, or have holes.
SHAPES = (
    (1, 1, "none"),
    (1, 12, "none"),
    (3, 17, "right"),
    (3, 17, "left"),
    (8, 40, "right"),
    (8, 40, "left"),
    (5, 64, "holes"),
)


@dataclass(frozen=True)
class Case:
    """What is trained: a recipe on a base, on texts or on pairs of prompt and response.

    `padding` is written into the base's tokenizer.json, which must change nothing.
    """

    name: str
    recipe: Callable[[Path], Recipe]
    base: Callable[[Path], Path] | None
    pairs: bool = False
    padding: str = "right"


def _encoder(*settings: str) -> Callable[[Path], Recipe]:
    return lambda base: tiny_encoder_recipe(base, *_SHORT, *settings)


def _causal(*settings: str) -> Callable[[Path], Recipe]:
    return lambda base: tiny_causal_recipe(base, *_SHORT, *settings)


CASES = (
    Case("frozen", lambda base: tiny_recipe(base, "evaluation.resamples=0"), make_tiny_base),
    Case("encoder, texts", _encoder(), make_tiny_base),
    Case("encoder, pairs", _encoder(), make_tiny_base, pairs=True, padding="left"),
    Case("encoder, first token", _encoder("base.pooling=cls", "heads.init=random"), make_tiny_base),
    Case("causal, adapters, questions and labels", _causal(), make_tiny_causal),
    Case("causal, adapters, pairs", _causal(), make_tiny_causal, pairs=True, padding="left"),
    Case("causal, adapters and heads", _causal("answer.read=head"), make_tiny_causal),
    Case("causal, full", _causal("adapter.method=full"), make_tiny_causal),
    Case("causal, full and heads", _causal("adapter.method=full", "answer.read=head"), make_tiny_causal),
    Case("causal, zero-shot", _causal("adapter.method=none"), make_tiny_causal),
)
REAL = (
    Case("MiniLM", lambda _: load_recipe("balanced", _REAL), None),
    Case("MiniLM, pairs", lambda _: load_recipe("balanced", _REAL), None, pairs=True),
    Case("SmolLM2, adapters", lambda _: load_recipe("llm", _REAL), None),
    Case("SmolLM2, adapters and heads", lambda _: load_recipe("llm", [*_REAL, "answer.read=head"]), None),
)


def main() -> None:
    """Train, reload and compare every case; leave with 1 where a score differs by more than is allowed."""
    arguments = _arguments()
    known = {case.name: case for case in (*CASES, *(REAL if arguments.real else ()))}
    found: dict[str, Any] = {}
    for name in arguments.cases or known:
        with tempfile.TemporaryDirectory(prefix="modwright-reload-") as folder:
            found[name] = compared(known[name], Path(folder))
        told = ", ".join(f"{way} {value:.1e}" for way, value in found[name].items())
        print(f"{name}: {told}", flush=True)
    largest = max(value for ways in found.values() for value in ways.values())
    print(f"largest difference {largest:.1e}, allowed {ALLOWED:.0e}")
    if not arguments.cases:
        book = Book(RESULTS / "reload.json", TUNED_PACKAGES)
        book.write(allowed=ALLOWED, largest_difference=largest, cases=found)
    if not largest <= ALLOWED:
        sys.exit("a score differs")


def compared(case: Case, folder: Path) -> dict[str, float]:
    """Return way of asking to the largest difference from the scores of the process that trained."""
    rows, inputs = _rows(case.pairs), _inputs(case.pairs)
    base = folder / "base" if case.base is None else case.base(folder / "base")
    if case.base is not None:
        _ask_for_padding(base / "tokenizer.json", case.padding)
    trained = fit_rows(case.recipe(base), TINY_SCHEMA, rows, load_settings(), on_event=silent)
    save_trained(trained, folder / "model")
    at_once = _scores(trained.engine, inputs, [range(len(inputs))])
    alone = _scores(trained.engine, inputs, [[place] for place in range(len(inputs))])
    found = {"training process, one by one": _difference(at_once, alone)}
    for way, scores in _fresh(folder, inputs).items():
        found[f"fresh process, {way}"] = _difference(at_once, scores)
    if read_artifact(folder / "model").family == "encoder":
        found |= {
            f"graph against torch, {key}": value for key, value in graph_drift(folder / "model").items()
        }
    return found


def _rows(pairs: bool) -> TrainingRows:
    rows = tiny_rows(60)
    if not pairs:
        return rows
    prompts = tiny_texts(len(rows.inputs), seed=5)
    inputs = [
        pair_input(prompt, value[-1].content) for prompt, value in zip(prompts, rows.inputs, strict=True)
    ]
    return TrainingRows(inputs, rows.labels, rows.weights, rows.groups)


def _inputs(pairs: bool) -> list[Input]:
    """Return inputs not trained on: short ones of many lengths, one of many windows, an empty one, another script."""
    texts = [
        *tiny_texts(20, seed=3),
        *HARMLESS_SENTENCES,
        " ".join(HARMLESS_SENTENCES * 3),
        "",
        "Ωμέγα 🪿",
        "goose",
    ]
    if not pairs:
        return [text_input(text) for text in texts]
    prompts = [*tiny_texts(len(texts) - 1, seed=4), " ".join(HARMLESS_SENTENCES * 3)]
    return [pair_input(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]


def _ask_for_padding(path: Path, side: str) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_padding(direction=side, length=24)
    tokenizer.save(str(path))


def _scores(
    engine: Engine, inputs: Sequence[Input], batches: Sequence[Sequence[int]]
) -> dict[str, FloatArray]:
    """Return target to (N, L) calibrated scores, asked for in these batches of inputs."""
    found: dict[str, FloatArray] = {
        target.name: np.full((len(inputs), len(target.labels)), np.nan) for target in engine.schema
    }
    for batch in batches:
        for name, values in engine.calibrated([inputs[place] for place in batch]).values.items():
            found[name][list(batch)] = values
    return found


def _difference(one: dict[str, FloatArray], other: dict[str, Any]) -> float:
    return max(float(np.abs(values - np.asarray(other[name])).max()) for name, values in one.items())


def _fresh(folder: Path, inputs: Sequence[Input]) -> dict[str, dict[str, Any]]:
    """Return way of asking to scores, by a process that knows nothing but the saved folder."""
    asked = [[[message.role, message.content] for message in value] for value in inputs]
    write_json(folder / "asked.json", asked)
    here = [sys.executable, str(Path(__file__).resolve()), "--answer", str(folder)]
    subprocess.run(here, check=True)
    answered: dict[str, dict[str, Any]] = read_json(folder / "answered.json")
    return answered


def answer(folder: Path) -> None:
    """Judge what was asked by the saved model, in every way, and write the scores down."""
    asked = read_json(folder / "asked.json")
    inputs = [tuple(Message(Role(role), content) for role, content in value) for value in asked]
    engine = Engine.load(folder / "model", threads=1)
    order = np.random.default_rng(0).permutation(len(inputs)).tolist()
    shuffled = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    found = {
        "at once": _scores(engine, inputs, [range(len(inputs))]),
        "one by one": _scores(engine, inputs, [[place] for place in range(len(inputs))]),
        "shuffled": _scores(engine, inputs, shuffled),
    }
    if read_artifact(folder / "model").family == "causal":
        _pad_left()
        engine = Engine.load(folder / "model", threads=1)
        found["padded on the left"] = _scores(engine, inputs, shuffled)
    plain = {way: {name: values.tolist() for name, values in scores.items()} for way, scores in found.items()}
    (folder / "answered.json").write_text(json.dumps(plain))


def _pad_left() -> None:
    """Let decoders pad shorter rows on the left from here on."""
    from modwright.models.decoder import Decoder

    states = Decoder.states
    Decoder.states = lambda self, head, rows, *, pad_left=False: states(self, head, rows, pad_left=True)


def graph_drift(folder: Path) -> dict[str, float]:
    """Return shape and mask to the largest difference between a saved graph's logits and those of torch."""
    import torch
    from safetensors.torch import load_file

    from modwright.models.encoder import EncoderClassifier
    from modwright.models.trunk import EncoderModel, load_trunk

    schema: Schema = read_artifact(folder).schema
    graph = EncoderClassifier.load(folder, schema, threads=1).graph
    trunk = load_trunk(folder / "model")
    heads = load_file(folder / "model" / "heads.safetensors")
    config = read_json(folder / "model" / "config.json")
    model = EncoderModel(trunk, graph.labels, config["classifier_pooling"]).eval()
    with torch.no_grad():
        for part in ("weight", "bias"):
            joined = torch.cat([heads[f"{target.name}.{part}"] for target in schema])
            getattr(model.head, part).copy_(joined)
    found = {}
    for rows, tokens, kind in SHAPES:
        ids, mask, types = _batch(rows, tokens, kind, int(config["vocab_size"]))
        with torch.inference_mode():
            expected = model(*(torch.from_numpy(part) for part in (ids, mask, types))).numpy()
        found[f"{rows} x {tokens}, masked: {kind}"] = float(
            np.abs(graph.run(ids, mask, types) - expected).max()
        )
    return found


def _batch(rows: int, tokens: int, kind: str, vocabulary: int) -> tuple[Any, Any, Any]:
    """Return ids, mask and types (rows, tokens); every row but the first is shorter, or has holes."""
    draw = np.random.default_rng(rows * 1_000 + tokens)
    ids = draw.integers(4, vocabulary, (rows, tokens))
    mask, types = np.ones_like(ids), np.zeros_like(ids)
    types[:, tokens // 2 :] = 1
    for row in range(1, rows):
        cut = int(draw.integers(1, tokens))
        if kind == "right":
            mask[row, tokens - cut :] = 0
        elif kind == "left":
            mask[row, :cut] = 0
        elif kind == "holes":
            mask[row, draw.choice(tokens, cut, replace=False)] = 0
    return ids, mask, types


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=[], metavar="CASE")
    parser.add_argument("--real", action="store_true", help="also with pretrained bases")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    if (asked := _arguments().answer) is not None:
        answer(asked)
    else:
        main()
