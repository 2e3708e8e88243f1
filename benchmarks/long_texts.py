"""Long texts: does a hateful comment still show among thousands of clean words, and what do many windows cost?

    python benchmarks/long_texts.py [--recipe fast] [--comments 60] [--words 2400]

Trains on ETHOS (hateful = isHate >= median, the fixed split of seed 32: 800 rows to train on, 198 to test). Then every
hateful test comment, up to --comments of them, is scored alone and among clean words: behind them and before them,
sentences as well as words without case and punctuation. And whole long documents of comments that people called not
toxic: the highest of many windows counts, so false alarms grow with length; how fast stands in the second table.
Results, figures only, go to benchmarks/results/long_texts.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common import RESULTS, data_file, machine, silent
from modwright.data.dataset import inputs, labels, make_dataset
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning, Reading
from modwright.pipeline.train import train
from modwright.recipe import load_recipe
from modwright.schema import text_input
from modwright.serving.engine import Engine, Judgement
from modwright.settings import load_settings
from modwright.testing import HARMLESS_SENTENCES

TARGET, LABEL = "moderation", "isHate"
FIVE_SEED = 5
LENGTHS = {100: 100, 400: 60, 2_400: 30}  # words to documents


def main() -> None:
    """Train, score and print both tables."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="modwright-") as folder:
        engine, hateful = _trained(arguments.recipe, Path(folder) / "model")
        chosen = hateful[: arguments.comments]
        five = np.random.default_rng(FIVE_SEED).choice(len(chosen), size=5, replace=False).tolist()
        places = [
            _place(engine, chosen, five, arguments.words, punctuated, behind)
            for punctuated, behind in ((True, True), (False, True), (True, False), (False, False))
        ]
        clean = [_clean(engine, words, count) for words, count in LENGTHS.items()]
    threshold = engine.operating_point("default").thresholds[TARGET][LABEL]
    found = {
        "machine": machine(),
        "recipe": arguments.recipe,
        "words": arguments.words,
        "threshold": round(threshold, 4),
        "hidden_comments": places,
        "documents_of_clean_comments": clean,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "long_texts.json").write_text(json.dumps(found, indent=2) + "\n")


def filler(words: int, *, punctuated: bool) -> str:
    """Return that many mild words; without punctuation they are in lower case, too."""
    many = (" ".join(HARMLESS_SENTENCES) + " ") * (words // 40 + 1)
    text = " ".join(many.split()[:words])
    return text if punctuated else text.replace(".", "").lower()


def _trained(recipe: str, out: Path) -> tuple[Engine, list[str]]:
    """Train on the fixed split; give the engine and the hateful test comments in the split's order."""
    dataset = load_dataset(
        ImportOptions(
            sources=(str(data_file("ethos/binary.csv")),),
            out=out,
            reading=Reading(delimiter=";"),
            meaning=Meaning(text="comment", scores=(LABEL,), threshold=">= median"),
        )
    ).dataset
    frame = dataset.split("train")
    order = np.random.RandomState(32).choice(len(frame), size=len(frame), replace=False).tolist()
    parts = make_dataset(dataset.schema, {"train": frame[order[:800]]}, dataset.provenance)
    train(load_recipe(recipe, ["evaluation.resamples=0"]), parts, out, load_settings(), on_event=silent)
    test = frame[order[800:]]
    truth = labels(test, dataset.schema.target(TARGET))[:, 0] > dataset.schema.positive_above
    texts = [one[-1].content for one in inputs(test)]
    return Engine.load(out), [text for text, hateful in zip(texts, truth, strict=True) if hateful]


def _place(
    engine: Engine, comments: Sequence[str], five: Sequence[int], words: int, punctuated: bool, behind: bool
) -> dict[str, Any]:
    """Score comments alone and among clean words, and compare."""
    clean = filler(words, punctuated=punctuated)
    hidden = [f"{clean} {text}" if behind else f"{text} {clean}" for text in comments]
    alone = engine.judge([text_input(text) for text in comments])
    among = engine.judge([text_input(text) for text in hidden])
    (only,) = engine.judge([text_input(clean)])
    apart = np.abs(_scores(alone) - _scores(among))
    flagged, still = _flagged(alone), _flagged(among)
    starts = [len(clean) + 1 if behind else 0] * len(comments)
    shared = [_shared(one.span, at, len(text)) for one, at, text in zip(among, starts, comments, strict=True)]
    row = {
        "filler": "sentences" if punctuated else "bare words",
        "comment": "behind" if behind else "before",
        "comments": len(comments),
        "mean_difference": _rounded(apart.mean()),
        "mean_difference_of_five": _rounded(apart[list(five)].mean()),
        "largest_difference": _rounded(apart.max()),
        "flagged_alone": _rounded(flagged.mean()),
        "flagged_among": _rounded(still.mean()),
        "same_flag": _rounded((flagged == still).mean()),
        "same_flag_of_five": int((flagged == still)[list(five)].sum()),
        "span_on_comment_of_flagged": _rounded(np.mean(np.array(shared)[still] >= 0.5)),
        "filler_score": _rounded(_scores([only])[0]),
        "filler_flagged": bool(_flagged([only])[0]),
        "mean_windows": _rounded(np.mean([one.windows for one in among])),
    }
    print(
        f"{row['filler']:10} {row['comment']:6} n {row['comments']}: mean |d| {row['mean_difference']:.3f} "
        f"(five {row['mean_difference_of_five']:.3f}, max {row['largest_difference']:.3f}); flagged alone "
        f"{row['flagged_alone']:.2f}, among {row['flagged_among']:.2f}; span on the comment "
        f"{row['span_on_comment_of_flagged']:.2f}; filler {row['filler_score']:.3f}; windows {row['mean_windows']:.0f}",
        flush=True,
    )
    return row


def _clean(engine: Engine, words: int, count: int) -> dict[str, Any]:
    """Score documents of so many words, made of comments that people called not toxic."""
    with data_file("context_toxicity/gc.csv").open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream) if row["label"] in ("0", "0.0")]
    order = iter(np.random.default_rng(words).permutation(len(texts)).tolist())
    documents = []
    for _ in range(count):
        document: list[str] = []
        while len(document) < words:
            document += texts[next(order)].split()
        documents.append(" ".join(document[:words]))
    judged = engine.judge([text_input(text) for text in documents])
    row = {
        "words": words,
        "documents": count,
        "mean_windows": _rounded(np.mean([one.windows for one in judged])),
        "flagged": _rounded(_flagged(judged).mean()),
        "median_score": _rounded(np.median(_scores(judged))),
    }
    print(
        f"{row['documents']} documents of {row['words']} words, {row['mean_windows']:.0f} windows each: "
        f"{row['flagged']:.2f} flagged, median score {row['median_score']:.2f}",
        flush=True,
    )
    return row


def _scores(judged: Sequence[Judgement]) -> np.ndarray:
    return np.array([one.targets[TARGET].scores[LABEL] for one in judged])


def _flagged(judged: Sequence[Judgement]) -> np.ndarray:
    return np.array([LABEL in one.targets[TARGET].flags for one in judged])


def _shared(span: tuple[int, int], begin: int, length: int) -> float:
    """Return which part of the shorter of span and comment the two share."""
    shared = min(span[1], begin + length) - max(span[0], begin)
    return max(0, shared) / max(1, min(span[1] - span[0], length))


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--comments", type=int, default=60)
    parser.add_argument("--words", type=int, default=2_400)
    return parser.parse_args()


if __name__ == "__main__":
    main()
