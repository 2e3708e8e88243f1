"""Each check finds what it is for, says where, and stays silent on sound data."""

from __future__ import annotations

import json

import numpy as np

from modwright.data.checks import CHECKS


def places(finding):
    return [place.rsplit("/")[-1] for place in finding.places]


def test_sound_data_is_left_alone(found, row):
    assert found(test=[row("another text", "x"), row("and one more")]) == {}


def test_empty_text(found, row):
    finding = found([row(" \n"), row("")])["empty_text"]
    assert finding.severity == "error"
    assert finding.rows == 2
    assert places(finding) == ["a.jsonl:41", "a.jsonl:42"]


def test_duplicates(found, row):
    finding = found([row("TEXT  number 1", "x")])["duplicate"]
    assert (finding.severity, finding.rows, places(finding)) == ("warning", 1, ["a.jsonl:41"])
    finding = found(test=[row("Text number 3 ", "x")])["duplicate_across"]
    assert (finding.severity, places(finding)) == ("error", ["t.jsonl:1"])


def test_contexts_in_two_splits(found, row):
    pair = {"prompt": "why?", "response": "because", "labels": {"t": ["x"]}}
    finding = found([pair], [{**pair, "response": "no idea"}])["context_across"]
    assert places(finding) == ["t.jsonl:1"]


def test_conflicting_labels_but_not_unknown_ones(found, row):
    finding = found([row("text number 2", "x")])["conflicting_labels"]
    assert finding.message.startswith("1 input")
    assert places(finding) == ["a.jsonl:3", "a.jsonl:41"]
    assert "conflicting_labels" not in found([{"text": "text number 2"}])


def test_label_support(found, row):
    rare = found([row("rare one", "y")], [row("fresh", "x")])
    assert "1 positive row " in rare["rare_label"].message
    assert "no positive row in 'test'" in rare["label_in_one_split"].message
    soft = found([{"text": "soft", "labels": {"t": {"y": 0.2}}}])
    assert soft["label_without_positives"].severity == "error"


def test_encoding_damage(found, row):
    damaged = "a café — “so” nice 🙂".encode().decode("latin-1")
    finding = found([row(damaged), row("don’t".encode().decode("windows-1252"))])["mojibake"]
    assert finding.rows == 2
    assert found([row("caf\ufffd")])["replacement_character"].rows == 1
    fine = [row("Âge, Ãnd Ångström, señor, garçon, naïve, 5 € — “so” 🙂, год, いい天気")]
    assert found(fine) == {}


def test_ids_and_lengths(found, row):
    twice = found([{**row("m"), "id": "same"}, {**row("n"), "id": "same"}])["duplicate_id"]
    assert twice.rows == 2

    def words(inputs):
        return np.array([len(turns[-1].content.split()) for turns in inputs])

    finding = found([row("one two three four")], token_counts=words, max_tokens=3)["too_long"]
    assert (finding.severity, finding.rows) == ("info", 1)
    assert json.dumps(finding.to_json())


def test_every_check_is_listed_and_described():
    assert all(check.__doc__ for check in CHECKS)
