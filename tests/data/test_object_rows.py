"""Records as objects: given keys, long numbers, deep values, labels without end, and dates as flat tables have them."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import tracemalloc

import pytest

from modwright.data import textual
from modwright.data.columnar import pl
from modwright.data.problems import DataProblemsError
from modwright.errors import DataError, UsageError

LABELS = {"t": ["rude"]}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def parquet(**columns) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("option", ["id", "weight"])
def test_a_key_that_was_given_and_is_never_met_is_named(load, option):
    records = lines({"text": "a", "labels": LABELS, "uid": "1"}, {"text": "b", "labels": LABELS, "uid": "2"})
    nested = parquet(text=["a"], labels=[{"t": ["rude"]}], uid=["1"])
    for name, content in (("a.jsonl", records), ("a.parquet", nested)):
        with pytest.raises(DataError, match=f"no record has the key 'uidd' \\(--{option}\\)") as caught:
            load({name: content}, **{option: "uidd"})
        assert caught.value.field == "uidd"
        assert "did you mean 'uid'?" in caught.value.remedy


def test_a_text_or_conversation_key_that_was_given_and_is_never_met_is_named(load):
    records = lines({"body": "a", "labels": LABELS, "turns": None})
    with pytest.raises(DataError, match=r"no record has the key 'turn' \(--messages\)"):
        load({"a.jsonl": records}, text="body", messages="turn")
    assert load({"a.jsonl": records}, text="body", messages="turns").dataset.splits["train"].height == 1


def test_a_given_key_may_be_missing_in_some_records(load):
    records = lines({"text": "a", "labels": LABELS, "w": 2}, {"text": "b", "labels": LABELS})
    assert load({"a.jsonl": records}, weight="w").dataset.splits["train"]["weight"].to_list() == [2.0, 1.0]


@pytest.mark.parametrize("form", [lambda text: text, lambda text: [text], lambda text: {text: 1}])
def test_free_text_as_labels_is_told_before_it_fills_memory(load, form):
    records = lines(*({"text": "a", "labels": {"m": form(f"free text {n}")}} for n in range(8_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="more than 1,000 different labels") as caught:
        load({"a.jsonl": records})
    assert (caught.value.line, caught.value.field) == (1001, "labels.m")
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


def test_free_text_as_targets_is_told_before_it_fills_memory(load):
    records = lines(*({"text": "a", "labels": {f"free text {n}": ["x"]}} for n in range(3_000)))
    with pytest.raises(DataError, match="more than 1,000 different targets") as caught:
        load({"a.jsonl": records})
    assert (caught.value.line, caught.value.field) == (1001, "labels")


def test_free_text_in_lists_of_a_column_is_told(load):
    content = parquet(text=["a"] * 1_200, tags=[[f"free text {n}"] for n in range(1_200)])
    with pytest.raises(DataError, match="1,200 different labels") as caught:
        load({"a.parquet": content}, labels=("tags",))
    assert caught.value.field == "tags"


def test_long_whole_numbers_keep_their_digits(load):
    long = int("7" * 400)
    records = lines(
        {"text": "a", "labels": LABELS, "n": long, "beyond": 2**63, "both": 2**53 + 1},
        {"text": "b", "labels": LABELS, "n": 1, "beyond": -1, "both": 0.5},
    )
    frame = load({"a.jsonl": records}).dataset.splits["train"]
    assert frame["n"].to_list() == [str(long), "1"]
    assert frame["beyond"].to_list() == [str(2**63), "-1"]
    assert frame["both"].to_list() == [str(2**53 + 1), "0.5"]


@pytest.mark.parametrize("value", ["7" * 400, "1e999", "-1"])
def test_a_weight_that_is_no_finite_number_is_told(load, value):
    record = f'{{"text": "a", "labels": {{"t": ["rude"]}}, "weight": {value}}}\n'
    with pytest.raises(DataError, match="expected a finite number of at least 0") as caught:
        load({"a.jsonl": record})
    assert (caught.value.line, caught.value.field) == (1, "weight")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", ["7" * 400, "1e999"])
def test_a_score_that_is_no_finite_number_is_told(load, value):
    record = f'{{"text": "a", "s": {{"rude": {value}}}}}\n'
    with pytest.raises(DataError, match="expected a finite number") as caught:
        load({"a.jsonl": record}, scores=("s",), threshold="> 2")
    assert (caught.value.line, caught.value.field) == (1, "s.rude")


@pytest.mark.parametrize("depth", [101, 985, 987, 989, 5_000])
@pytest.mark.parametrize("text", ["a", "\\ud83d\\ude00"])
def test_deep_values_are_told_however_deep_the_stack_is(load, depth, text):
    record = f'{{"text": "{text}", "labels": {{"t": ["rude"]}}, "x": {"[" * depth}{"]" * depth}}}\n'
    with pytest.raises(DataError, match="nested too deeply") as caught:
        load({"a.jsonl": record})
    assert caught.value.line == 1


def test_ninety_levels_are_kept(load):
    deep = "[" * 90 + "]" * 90
    record = f'{{"text": "a", "labels": {{"t": ["rude"]}}, "x": {deep}}}\n'
    assert load({"a.jsonl": record}).dataset.splits["train"]["x"].to_list() == [deep]


def test_a_long_line_that_a_chunk_cuts_within_a_character_is_only_too_long(load, monkeypatch):
    monkeypatch.setattr(textual, "CHUNK_BYTES", 64)
    good = lines({"text": "b", "labels": LABELS})
    for shift in range(4):
        long = json.dumps({"text": "x" * shift + "\u20ac" * 200, "labels": LABELS}, ensure_ascii=False)
        for content in (long + "\n" + good, good + long):
            with pytest.raises(DataError, match="bytes, the limit is 100") as caught:
                load({"a.jsonl": content}, reading={"max_record_bytes": 100})
            assert not isinstance(caught.value, DataProblemsError)


def test_kind_must_not_contradict_the_form_of_the_labels(load):
    strings = lines({"text": "a", "labels": {"m": "rude"}}, {"text": "b", "labels": {"m": "kind"}})
    with pytest.raises(DataError, match="one class per row, but --kind is multi_label") as caught:
        load({"a.jsonl": strings}, kind="multi_label")
    assert (caught.value.line, caught.value.field) == (1, "labels.m")
    assert load({"a.jsonl": strings}, kind="single_label").dataset.schema.target("m").kind == "single_label"
    objects = lines(
        {"text": "a", "labels": {"m": ["rude"], "tone": {"kind": 0.3, "cold": 0.7}}},
        {"text": "b", "labels": {"m": [], "tone": {"kind": 1}}},
    )
    schema = load({"a.jsonl": objects}, kind="single_label").dataset.schema
    assert [str(target.kind) for target in schema.targets] == ["multi_label", "single_label"]


def test_target_must_not_name_what_the_records_do_not(load):
    records = lines({"text": "a", "labels": {"tone": ["rude"]}})
    with pytest.raises(UsageError, match="--target is 'tnoe', but the records name their targets: 'tone'"):
        load({"a.jsonl": records}, target="tnoe")
    assert load({"a.jsonl": records}, target="tone").dataset.schema.names == ("tone",)


def test_record_form_parquet_reads_dates_and_weights_as_flat_parquet_does(load):
    moments = [datetime.datetime(2024, 1, 1, 12), datetime.datetime(2024, 1, 2)]
    columns = {"text": ["a", "b"], "day": [moment.date() for moment in moments], "at": moments}
    columns |= {"weight": [float("nan"), 2.0], "price": [decimal.Decimal("1.5"), None]}
    flat = load({"f.parquet": parquet(**columns, rude=[1, 0])}, labels=("rude",))
    nested = load({"n.parquet": parquet(**columns, labels=[{"t": ["rude"]}, {"t": []}])})
    one, other = flat.dataset.splits["train"], nested.dataset.splits["train"]
    assert other["day"].to_list() == ["2024-01-01", "2024-01-02"]
    for name in ("day", "at", "weight", "price"):
        assert one[name].to_list() == other[name].to_list()
    assert other["weight"].to_list() == [1.0, 2.0]
