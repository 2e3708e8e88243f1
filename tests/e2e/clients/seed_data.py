"""Comments with several labels and `safe` where none holds, in the three files of the notebook."""

import csv
import json
import random
from pathlib import Path

from the_road import data_file

LABELS = ("insult", "obscene", "identity_attack", "threat")
PARTS = {"training_file.jsonl": 500, "validation_file.jsonl": 120, "test_file.jsonl": 120}


def write_seed_files(folder: Path, *, shuffled: bool = False) -> None:
    """Write the files; ``shuffled`` gives every training and validation row the labels of another one."""
    rows = _flagged() + _clean()
    random.Random(42).shuffle(rows)
    begin = 0
    for name, count in PARTS.items():
        part = rows[begin : begin + count]
        begin += count
        labels = [found for _, found in part]
        if shuffled and name != "test_file.jsonl":
            random.Random(7).shuffle(labels)
        with (folder / name).open("w", encoding="utf-8") as file:
            for (text, _), found in zip(part, labels, strict=True):
                file.write(json.dumps({"text": text, "labels": {"moderation": found}}) + "\n")


def _flagged() -> list[tuple[str, list[str]]]:
    with data_file("civil_comments/scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(42).shuffle(rows)
    found = [(row["text"], [label for label in LABELS if float(row[label]) > 0.5]) for row in rows]
    return [(text, labels) for text, labels in found if labels][:470]


def _clean() -> list[tuple[str, list[str]]]:
    with data_file("jigsaw/train_sample.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    marks = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
    return [(row["comment_text"], ["safe"]) for row in rows if not any(row[mark] == "1" for mark in marks)][
        :270
    ]
