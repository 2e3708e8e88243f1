"""Training speed of the encoder family against transformers' Trainer as a notebook writes it.

    python benchmarks/throughput.py [--rows 2000] [--rounds 3] [--sets mixed surge davidson] [--epochs 5]

Two questions. Tokens a second: the recipe `balanced` and the Trainer (batches of 8 padded to their longest row, float32,
every other setting its default) fine-tune the same MiniLM for one epoch on the same --rows of civil_comments, in turns
of a few steps in one process, so that whatever else the machine does slows both. Loading the model, its tokens and, for
ours, the heads' beginning are on the clock. Tokens are those of the texts, without padding, as the Trainer's tokenizer
counts them, for both. The same against a Trainer with bf16, batches of 16 and rows grouped by length.

Time to a loss: on sets where the Trainer does learn, how long each takes to the lowest validation loss that the Trainer
reaches in --epochs passes; looks are free. Beside it stands the loss of the labels' base rates: a set on which the Trainer
does not beat that by a margin says nothing.

Every comparison is written to benchmarks/results/throughput.json when it is done; a rerun skips it.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import torch

from common import RESULTS, Book, data_file, identity_of, rounded
from modwright.catalog import fetch_base
from modwright.recipe import EncoderRecipe, load_recipe
from modwright.schema import Schema, Target, TargetKind, text_input
from modwright.settings import load_settings
from modwright.training.rows import TrainingRows
from throughput_race import Course, Notebook, Ours
from toxicity_rows import SCHEMA, TARGET, civil_comments, splits
from tuning import base_rate_loss

BASE = "all-MiniLM-L6-v2"
TUNED_TRAINER: dict[str, Any] = {
    "bf16": True,
    "use_cpu": True,
    "per_device_train_batch_size": 16,
    "train_sampling_strategy": "group_by_length",
}
OPPONENTS: dict[str, dict[str, Any]] = {"as the notebook": {}, "bf16, 16 rows, grouped": TUNED_TRAINER}
#: Validation is looked at so often in the race to a loss.
LOOKS_PER_EPOCH = 4
#: The Trainer's best loss has to be this far below the base rates' for a comparison to say anything.
MARGIN = 0.05
#: Scratch code on a quiet machine: non-padding tokens a second.
REFERENCE = {"as the notebook": 640, "bf16, 16 rows, grouped": 2190, "scratch loop": 5690}
_SEED = 11


def main() -> None:
    """Race, and print tables."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    book = Book(RESULTS / "throughput.json")
    folder = fetch_base(BASE, load_settings()).path
    recipe = _recipe("training.epochs=1", *arguments.overrides)
    for opponent in OPPONENTS:
        for number in range(arguments.rounds):
            name = f"tokens a second, {opponent}, round {number}"
            identity = identity_of(recipe, arguments.rows, arguments.threads)
            book.run(name, identity, lambda opponent=opponent: _speed(folder, recipe, opponent, arguments))
    longer = _recipe(*arguments.overrides)
    for name in arguments.sets:
        identity = identity_of(longer, arguments.rows, arguments.epochs, arguments.threads)
        book.run(
            f"time to a loss, {name}", identity, lambda name=name: _to_loss(folder, longer, name, arguments)
        )
    book.write(
        accelerate=accelerate.__version__,
        threads=arguments.threads,
        reference=REFERENCE,
        ratios=_ratios(book, arguments.rounds),
    )
    _print(book, arguments)


def _recipe(*overrides: str) -> EncoderRecipe:
    recipe = load_recipe("balanced", [f"base.name={BASE}", *overrides])
    assert isinstance(recipe, EncoderRecipe)
    return recipe


def _speed(
    folder: Path, recipe: EncoderRecipe, opponent: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Train both for one epoch on the same rows, in turns."""
    rows = _comments(arguments.rows)
    few = rows.take(np.arange(16))
    Ours(recipe, SCHEMA, few, None).advance(1.0)  # what is done once per process is done before
    Notebook(folder, SCHEMA, few, None, 1, **OPPONENTS[opponent]).train(lambda share: None)
    ours = Ours(recipe, SCHEMA, rows, None)
    other = Notebook(folder, SCHEMA, rows, None, 1, **OPPONENTS[opponent])
    other.train(ours.advance)
    ours.advance(1.0)
    return {
        "rows": len(rows.inputs),
        "tokens": other.tokens,
        "tokens_per_row": rounded(other.tokens / len(rows.inputs), 1),
        "ours": _told(ours.course, other.tokens),
        "trainer": _told(other.course, other.tokens),
        "times_faster": rounded(other.course.clock.wall_s / ours.course.clock.wall_s, 2),
        "times_faster_by_processor_time": rounded(
            other.course.clock.processor_s / ours.course.clock.processor_s, 2
        ),
    }


def _to_loss(folder: Path, recipe: EncoderRecipe, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train both, looking at validation rows, until the Trainer has made its epochs."""
    schema, rows = SETS[name](arguments.rows)
    ours = Ours(recipe, schema, rows["train"], rows["validation"])
    other = Notebook(folder, schema, rows["train"], rows["validation"], arguments.epochs)
    looks = LOOKS_PER_EPOCH * recipe.training.epochs
    other.train(lambda share: ours.advance(share, looks), LOOKS_PER_EPOCH * arguments.epochs)
    best = min(other.course.looks, key=lambda look: look.loss)
    first = next((look for look in ours.course.looks if look.loss <= best.loss), None)
    base = base_rate_loss(schema, rows["train"], rows["validation"])
    return {
        "rows": {part: len(some.inputs) for part, some in rows.items()},
        "base_rate_loss": rounded(base),
        "trainer_best_loss": rounded(best.loss),
        "trainer_seconds": rounded(best.seconds, 1),
        "trainer_epochs": rounded(best.epoch, 2),
        "says_something": bool(best.loss < base - MARGIN),
        "ours_seconds_to_that_loss": None if first is None else rounded(first.seconds, 1),
        "ours_epochs_to_that_loss": None if first is None else rounded(first.epoch, 2),
        "ours_best_loss": rounded(min(look.loss for look in ours.course.looks)),
        "times_faster": None if first is None else rounded(best.seconds / first.seconds, 2),
        "looks": {
            "ours": [
                [rounded(look.epoch, 2), rounded(look.seconds, 1), rounded(look.loss)]
                for look in ours.course.looks
            ],
            "trainer": [
                [rounded(look.epoch, 2), rounded(look.seconds, 1), rounded(look.loss)]
                for look in other.course.looks
            ],
        },
    }


def _told(course: Course, tokens: int) -> dict[str, Any]:
    return {
        "seconds": rounded(course.clock.wall_s, 2),
        "processor_seconds": rounded(course.clock.processor_s, 2),
        "before_the_first_step_s": rounded(course.beginning_s, 2),
        "tokens_per_second": round(tokens / course.clock.wall_s),
    }


def _comments(count: int) -> TrainingRows:
    """Return comments of civil_comments whose labels are all known: those that most annotators called toxic."""
    texts, values = civil_comments(2 * count)
    known = np.flatnonzero(~np.isnan(values).any(axis=1))[:count]
    inputs = [text_input(texts[row]) for row in known]
    return TrainingRows(
        inputs, {TARGET.name: values[known]}, np.ones(len(known)), [texts[row] for row in known]
    )


def _mixed(count: int) -> dict[str, TrainingRows]:
    """Return rows of jigsaw and civil_comments whose labels are all known: `count` to train on at most."""
    rows, _ = splits(3 * count, whole_rows_only=True)
    return {name: part.take(np.arange(min(count, len(part.inputs)))) for name, part in rows.items()}


def _surge(count: int) -> tuple[Schema, dict[str, TrainingRows]]:
    with data_file("surge/toxicity_en.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    values = np.array([[float(row["is_toxic"] == "Toxic")] for row in rows])
    return _dealt([row["text"] for row in rows], values, ("toxic",), count)


def _davidson(count: int) -> tuple[Schema, dict[str, TrainingRows]]:
    with data_file("davidson/labeled_data.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    values = np.eye(3)[[int(row["class"]) for row in rows]]
    return _dealt([row["tweet"] for row in rows], values, ("hateful", "offensive", "neither"), count)


def _dealt(
    texts: list[str], values: np.ndarray, labels: tuple[str, ...], count: int
) -> tuple[Schema, dict[str, TrainingRows]]:
    """Return at most `count` rows to train on and a quarter as many to look at, drawn at random."""
    order = np.random.default_rng(_SEED).permutation(len(texts))
    train = min(count, len(texts) * 4 // 5)
    parts = {"train": order[:train], "validation": order[train : train + max(50, train // 4)]}
    schema = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, labels),))
    rows = {
        name: TrainingRows(
            [text_input(texts[row]) for row in part],
            {"moderation": values[part]},
            np.ones(len(part)),
            [texts[row] for row in part],
        )
        for name, part in parts.items()
    }
    return schema, rows


SETS = {
    "mixed": lambda count: (SCHEMA, {name: _mixed(count)[name] for name in ("train", "validation")}),
    "surge": _surge,
    "davidson": _davidson,
}


def _ratios(book: Book, rounds: int) -> dict[str, Any]:
    found = {}
    for opponent in OPPONENTS:
        runs = [book.runs[f"tokens a second, {opponent}, round {number}"] for number in range(rounds)]
        found[opponent] = {
            "ours_tokens_per_second": statistics.median(run["ours"]["tokens_per_second"] for run in runs),
            "trainer_tokens_per_second": statistics.median(
                run["trainer"]["tokens_per_second"] for run in runs
            ),
            "times_faster": [run["times_faster"] for run in runs],
            "median_times_faster": statistics.median(run["times_faster"] for run in runs),
        }
    return found


def _print(book: Book, arguments: argparse.Namespace) -> None:
    for opponent, found in book.data["ratios"].items():
        print(
            f"Trainer {opponent}: ours {found['ours_tokens_per_second']:.0f} tokens/s, "
            f"Trainer {found['trainer_tokens_per_second']:.0f}: {found['times_faster']} times faster"
        )
    for name in arguments.sets:
        found = book.runs[f"time to a loss, {name}"]
        print(
            f"{name}: base rates {found['base_rate_loss']:.4f}; Trainer {found['trainer_best_loss']:.4f} after "
            f"{found['trainer_seconds']:.0f} s; ours after {found['ours_seconds_to_that_loss']} s "
            f"({found['times_faster']} times faster), at best {found['ours_best_loss']:.4f}"
            + ("" if found["says_something"] else "; the Trainer learns too little here: this says nothing")
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=["mixed", "surge", "davidson"], choices=list(SETS))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
