"""Labels: alike by name or by rows, seen in one split; what must not be called so."""

from __future__ import annotations

import pytest

from modwright.data.checks.labelling import plain_name


@pytest.mark.parametrize(
    ("one", "two"),
    [("Insult", "insults"), ("identity_attack", "Identity Attack"), ("hate-speech", "hatespeech"),
     ("identity", "identities"), ("ｔｈｒｅａｔ", "threat")],
)  # fmt: skip
def test_names_that_differ_by_spelling_alone(one, two):
    assert plain_name(one) == plain_name(two)


@pytest.mark.parametrize(
    ("one", "two"), [("toxic", "toxicity"), ("as", "a"), ("class", "clas"), ("1", "2"), ("+", "-")]
)
def test_names_that_differ(one, two):
    assert plain_name(one) != plain_name(two)


def test_label_names_alike(found, row):
    records = [row(f"one more {number}", "insult", "Insults") for number in range(12)]
    finding = found(records)["label_names_alike"]
    assert "'insult', 'Insults'" in finding.message
    assert "label_names_alike" not in found([row(f"one more {number}", "insult") for number in range(12)])


def test_labels_that_hold_in_the_same_rows(found, row):
    records = [row(f"one more {number}", "y", "z") for number in range(30)]
    finding = found(records)["labels_alike"]
    assert "'t/y' and 't/z'" in finding.message
    assert "phi 1.000" in finding.message
    apart = [row(f"one more {number}", "y" if number % 2 else "z") for number in range(30)]
    assert "labels_alike" not in found(apart)


def test_a_label_that_is_the_others_absence(found, row):
    records = [row(f"one more {number}", "y" if number % 2 else "z") for number in range(40)]
    assert "holds almost exactly where" in found(records, sound=False)["labels_alike"].message
    negative = [row(f"one more {number}", "y" if number % 2 else "safe") for number in range(40)]
    assert "labels_alike" not in found(negative, sound=False)
    single = [
        {"text": f"one more {number}", "labels": {"t": "y" if number % 2 else "z"}} for number in range(40)
    ]
    assert "labels_alike" not in found(single, sound=False)


def test_a_label_that_lacks_in_some_splits_or_all_but_one(load):
    from modwright.data.checks import check_dataset

    def lines(*labels):
        return "".join(
            f'{{"text": "text {label} {row}", "labels": {{"t": ["{label}"]}}}}\n'
            for label in labels
            for row in range(12)
        )

    files = {"a.jsonl": lines("x", "y"), "t.jsonl": lines("x"), "v.jsonl": lines("y")}
    findings = check_dataset(load(files, {"t.jsonl": "test", "v.jsonl": "validation"}).dataset)
    told = [finding.message for finding in findings if finding.code == "label_missing_in_split"]
    assert told == [
        "the label 't/x' has no positive row in 'validation'",
        "the label 't/y' has no positive row in 'test'",
    ]
