"""Inputs from every kind of file: texts, pairs, conversations; JSONL, CSV and Parquet say the same."""

from __future__ import annotations

import io
import json

import pytest

from modwright.data import jsonl, textual
from modwright.data.columnar import pl
from modwright.data.dataset import content_keys, groups, inputs
from modwright.schema import Message, Role, pair_input, text_input

USER, ASSISTANT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}


def lines(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def labelled(**record):
    return {**record, "labels": {"t": ["x"]}}


def test_the_three_forms_of_input(load):
    records = [
        labelled(text="plain"),
        labelled(messages=[USER, ASSISTANT]),
        labelled(prompt="Hi", response="Hello"),
        labelled(
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}],
                }
            ]
        ),
    ]
    loaded = load({"a.jsonl": lines(*records)})
    frame = loaded.dataset.splits["train"]
    conversation = (Message(Role.USER, "Hi"), Message(Role.ASSISTANT, "Hello"))
    assert inputs(frame) == [
        text_input("plain"),
        conversation,
        pair_input("Hi", "Hello"),
        text_input("in parts"),
    ]
    assert frame["text"].to_list() == ["plain", None, None, None]
    group = frame["group"].to_list()
    assert group[0] is None
    assert group[3] is None
    assert group[1] == group[2]
    assert len(group[1]) == 16
    assert [source.rsplit("/")[-1] for source in frame["source"]] == [
        f"a.jsonl:{line}" for line in range(1, 5)
    ]


def test_groups_hold_prompts_and_duplicates_together(load):
    records = [
        labelled(prompt="Why?", response="Because."),
        labelled(prompt="why? ", response="No idea."),
        labelled(prompt="How?", response="Because."),
        labelled(text="A silly  goose"),
        labelled(text="a silly goose\n"),
        labelled(messages=[{"role": "user", "content": "a Silly goose"}]),
        labelled(text="a wise goose"),
    ]
    keys = groups(load({"a.jsonl": lines(*records)}).dataset.splits["train"])
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == keys[4] == keys[5] != keys[6]
    assert len(set(keys)) == 4


def test_content_keys_tell_conversations_apart(load):
    records = [
        labelled(prompt="a", response="b"),
        labelled(prompt="A", response="b "),
        labelled(prompt="a", response="c"),
        labelled(text="a\0b".replace("\0", " ")),
    ]
    keys = content_keys(load({"a.jsonl": lines(*records)}).dataset.splits["train"])
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_csv_pairs_and_named_keys(load):
    csv = "question,answer,bad\nHi,Hello,1\nHi,Bye,0\n"
    from_csv = load({"a.csv": csv}, prompt="question", response="answer", labels=("bad",)).dataset
    rows = [{"question": "Hi", "answer": "Hello", "bad": 1}, {"question": "Hi", "answer": "Bye", "bad": 0}]
    from_jsonl = load(
        {"a.jsonl": lines(*rows)}, prompt="question", response="answer", labels=("bad",)
    ).dataset
    assert inputs(from_csv.splits["train"]) == [pair_input("Hi", "Hello"), pair_input("Hi", "Bye")]
    assert from_csv.id == from_jsonl.id


def parquet(frame):
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_flat_parquet_equals_csv(load):
    frame = pl.DataFrame({"text": ["a", "b", "c"], "bad": [True, None, False], "n": ["1", "2", "3"]})
    from_parquet = load({"a.parquet": parquet(frame)}, labels=("bad",)).dataset
    from_csv = load({"a.csv": "text,bad,n\na,1,1\nb,,2\nc,0,3\n"}, labels=("bad",)).dataset
    assert from_parquet.id == from_csv.id
    assert from_parquet.splits["train"]["source"][2].endswith("a.parquet:3")


def test_parquet_classes_of_numbers(load):
    frame = pl.DataFrame(
        {"text": ["a", "b", "c"], "tone": [2.0, 0.0, None], "score": [0.5, float("nan"), 1.0]}
    )
    schema = load({"a.parquet": parquet(frame)}, labels=("tone",)).dataset.schema
    assert schema.target("moderation").labels == ("2", "0")
    scored = load({"a.parquet": parquet(frame)}, scores=("score",)).dataset.splits["train"]
    assert scored["moderation/score"].to_list() == [0.5, None, 1.0]


def test_nested_parquet_equals_jsonl(load):
    records = [
        {"messages": [USER, ASSISTANT], "labels": {"t": ["x"], "tone": "cold"}, "weight": 2.0},
        {"messages": [USER], "labels": {"t": [], "tone": "warm"}, "weight": 1.0},
        {"messages": [USER, USER], "labels": {"t": None, "tone": None}, "weight": 1.0},
    ]
    from_parquet = load({"a.parquet": parquet(pl.DataFrame(records))}).dataset
    assert from_parquet.id == load({"a.jsonl": lines(*records)}).dataset.id


def test_what_is_accepted_is_noted(load):
    message = {"role": "user", "content": "Hi", "name": "ann"}
    content = "\ufeff" + lines(labelled(messages=[message])) + "\n\n" + lines(labelled(text="b"))
    notes = " | ".join(load({"a.jsonl": content}).notes)
    assert "a byte-order mark at the start was left out" in notes
    assert "2 blank lines were left out" in notes
    assert "keys of messages that are not used: name" in notes


@pytest.mark.parametrize("chunk_bytes", [7, 64])
def test_lines_are_the_same_however_the_bytes_arrive(load, monkeypatch, chunk_bytes):
    content = lines(*(labelled(text="é" * place) for place in range(20))) + "\r\n" + lines(labelled(text="z"))
    whole = load({"a.jsonl": content}).dataset
    monkeypatch.setattr(textual, "CHUNK_BYTES", chunk_bytes)
    pieces = load({"a.jsonl": content}).dataset
    assert pieces.id == whole.id
    assert pieces.splits["train"]["source"].to_list() == whole.splits["train"]["source"].to_list()


def test_a_huge_line_is_measured_without_being_held(load, monkeypatch):
    monkeypatch.setattr(textual, "CHUNK_BYTES", 1000)
    held = []
    check = jsonl.check_utf8
    monkeypatch.setattr(
        jsonl, "check_utf8", lambda block, *rest: (held.append(len(block)), check(block, *rest))
    )
    content = '{"text": "' + "b" * 50_000 + '"}\n' + lines(labelled(text="fine"))
    with pytest.raises(Exception, match=r"a\.jsonl:1: the line has 50,012 bytes, the limit is 500 "):
        load({"a.jsonl": content}, reading={"max_record_bytes": 500})
    assert max(held) < 3000


def test_chunks_of_records_with_other_keys_and_types_come_together(load, monkeypatch):
    monkeypatch.setattr("modwright.data.rows._CHUNK_ROWS", 2)
    rows = [labelled(text="a"), labelled(text="b"), labelled(text="c", n=1), labelled(text="d", n=None)]
    rows += [labelled(text="e", n=0.5, m="x"), labelled(text="f", m=3)]
    frame = load({"a.jsonl": lines(*rows)}).dataset.splits["train"]
    assert frame["n"].to_list() == [None, None, 1.0, None, 0.5, None]
    assert frame["m"].to_list() == [None, None, None, None, "x", "3"]
