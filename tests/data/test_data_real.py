"""Real data sets import as their README says; skipped where they are not there."""

# ruff: noqa: E501 (a table: one set per line reads best)

from __future__ import annotations

import pytest

from modwright.data.dataset import groups, labels
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning, Reading
from modwright.data.resplit import resplit
from modwright.errors import DataError

pytestmark = pytest.mark.real

TOXIC = ("toxicity", "insult", "obscene", "identity_attack", "threat", "other_toxicity")
JIGSAW = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
ETHOS = (
    "violence",
    "directed_vs_generalized",
    "gender",
    "race",
    "national_origin",
    "disability",
    "religion",
    "sexual_orientation",
)
SEMICOLON, GERMEVAL = {"delimiter": ";"}, {"quoted": False, "header": False}

SETS = [
    ("ethos/binary.csv", SEMICOLON, {"text": "comment", "scores": ("isHate",), "threshold": ">= median"}, 998, {"isHate": 515}),
    ("ethos/multi_label.csv", SEMICOLON, {"text": "comment", "scores": ETHOS}, 433, {"violence": 129}),
    ("civil_comments/scores.csv", {}, {"scores": TOXIC, "threshold": "> 0.5"}, 12_750, {"threat": 92}),
    ("jigsaw/train_sample.csv", {}, {"text": "comment_text", "labels": JIGSAW}, 1_000, {"threat": 5}),
    ("davidson/labeled_data.csv", {}, {"text": "tweet", "labels": ("class",)}, 24_783, {"0": 1_430, "1": 19_190, "2": 4_163}),
    ("context_toxicity/gc.csv", {}, {"labels": ("label",)}, 10_000, {"label": 151}),
    ("context_toxicity/gc.csv", {}, {"prompt": "parent", "response": "text", "labels": ("label",)}, 10_000, {"label": 151}),
    ("surge/toxicity_en.csv", {}, {"labels": ("is_toxic",)}, 1_000, {"Toxic": 501}),
    ("hatemoji/train.csv", {}, {"labels": ("label_gold",)}, 4_728, {"label_gold": 2_387}),
    ("germeval2018/training.tsv", GERMEVAL, {"text": "column_1", "labels": ("column_2",)}, 5_009, {"OFFENSE": 1_688}),
    ("beavertails/dev.jsonl", {}, {"labels": ("label",)}, 2_063, {"harmful": 1_206}),
    ("beavertails/category_sample.csv", {}, {"labels": ("category",)}, 140, {"animal_abuse": 10}),
    ("safe_rlhf/pairs.jsonl", {}, {"labels": ("label",)}, 1_710, {"harmful": 857}),
    ("xstest/completions.csv", {}, {"response": "completion", "prompt": "prompt", "labels": ("final_label",)}, 2_250, {"2_full_refusal": 983}),
]  # fmt: skip


def load(folder, name, reading, meaning):
    return load_dataset(
        ImportOptions((str(folder / name),), folder, (), Reading(**reading), Meaning(**meaning))
    ).dataset


@pytest.mark.parametrize(("name", "reading", "meaning", "rows", "positives"), SETS)
def test_a_real_set_imports(real_data, name, reading, meaning, rows, positives):
    dataset = load(real_data, name, reading, meaning)
    (target,) = dataset.schema.targets
    values = labels(dataset.splits["train"], target)
    assert len(values) == rows
    for label, number in positives.items():
        assert (values[:, target.index(label)] > 0.5).sum() == number


def test_ethos_without_its_delimiter_is_explained(real_data):
    with pytest.raises(DataError, match="--delimiter ';'"):
        load(real_data, "ethos/binary.csv", {}, {"text": "comment", "scores": ("isHate",)})


def test_beavertails_splits_by_prompt(real_data):
    dataset = load(real_data, "beavertails/dev.jsonl", {}, {"labels": ("label",)})
    split = resplit(dataset, {"train": 0.8, "test": 0.2}, seed=0)
    train, test = (set(groups(split.splits[name])) for name in ("train", "test"))
    assert not train & test
    assert abs(len(split.splits["test"]) - 413) <= 3
