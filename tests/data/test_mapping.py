"""Struct, list and conversation columns; labels renamed, merged and dropped: the same from every kind of file."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from modwright.data.columnar import pl
from modwright.data.dataset import inputs, labels
from modwright.data.options import Recorded
from modwright.data.relabel import relabelled
from modwright.errors import DataError, UsageError
from modwright.schema import Schema, Target, TargetKind

NAN = np.nan
TURNS = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "silly goose"}]
#: Rows as BeaverTails has them, and with its unknowns: fourteen categories there, three here.
BEAVER = [
    {
        "prompt": "p",
        "response": "a",
        "category": {"insult": True, "spam": False, "theft": False},
        "is_safe": False,
    },
    {
        "prompt": "p",
        "response": "b",
        "category": {"insult": False, "spam": False, "theft": False},
        "is_safe": True,
    },
    {
        "prompt": "q",
        "response": "c",
        "category": {"insult": None, "spam": True, "theft": False},
        "is_safe": None,
    },
    {"prompt": "r", "response": "d", "category": None, "is_safe": False},
]


def jsonl(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def parquet(records, **types):
    stream = io.BytesIO()
    pl.DataFrame(records, schema_overrides=types).write_parquet(stream)
    return stream.getvalue()


def values(loaded, target="moderation", split="train"):
    dataset = loaded.dataset
    return labels(dataset.splits[split], dataset.schema.target(target))


@pytest.fixture(params=["jsonl", "parquet"])
def load_records(request, load):
    """Load records as a JSONL file and as a Parquet file."""

    def _load(records, **meaning):
        write = jsonl if request.param == "jsonl" else parquet
        return load({f"a.{request.param}": write(records)}, **meaning)

    return _load


def test_a_struct_beside_a_flag_becomes_labels(load_records):
    loaded = load_records(BEAVER, labels=("category", "is_safe"), negative=("is_safe",))
    (target,) = loaded.dataset.schema.targets
    assert (target.kind, target.labels) == (
        TargetKind.MULTI_LABEL,
        ("insult", "spam", "theft", "is_safe"),
    )
    assert target.flaggable == ("insult", "spam", "theft")
    expected = [[1, 0, 0, 0], [0, 0, 0, 1], [NAN, 1, 0, NAN], [NAN, NAN, NAN, 0]]
    np.testing.assert_equal(values(loaded), np.array(expected))
    frame = loaded.dataset.splits["train"]
    assert "category" not in frame.columns
    assert [turn.content for turn in inputs(frame)[0]] == ["p", "a"]


def test_a_list_of_labels_is_closed_world(load_records):
    records = [
        {"text": "a", "tags": ["rude", "loud"]},
        {"text": "b", "tags": []},
        {"text": "c", "tags": None},
        {"text": "d", "tags": ["loud", "shrill"]},
    ]
    loaded = load_records(records, labels=("tags",))
    assert loaded.dataset.schema.targets[0].labels == ("rude", "loud", "shrill")
    np.testing.assert_equal(values(loaded), np.array([[1, 1, 0], [0, 0, 0], [NAN] * 3, [0, 1, 1]]))
    declared = load_records(records, labels=("tags",), declared={"moderation": ("loud", "rude", "shrill")})
    assert declared.dataset.schema.targets[0].labels == ("loud", "rude", "shrill")


def test_a_struct_of_scores_takes_a_threshold(load_records):
    records = [{"text": str(row), "marks": {"x": row * 10.0, "y": 40.0 - row}} for row in range(4)]
    loaded = load_records(records, scores=("marks",), threshold="> median")
    np.testing.assert_equal(values(loaded), np.array([[0, 1], [0, 1], [1, 0], [1, 0]]))
    with pytest.raises(DataError, match=r"field 'marks\.x': found .*expected a number in 0\.\.1"):
        load_records(records, labels=("marks",))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "b", "tags": ["rude", ""]}, "found "),
        ({"text": "b", "tags": ["rude", None]}, "found "),
    ],
)
def test_lists_hold_names(load_records, record, message):
    with pytest.raises(DataError, match=r"a\.\w+:2, field 'tags.*" + message):
        load_records([{"text": "a", "tags": ["rude"]}, record], labels=("tags",))


def test_one_form_throughout_a_file(load):
    rows = [{"text": "a", "tags": ["rude"]}, {"text": "b", "tags": "rude"}]
    with pytest.raises(DataError, match=r"a\.jsonl:2, field 'tags': found the string 'rude', but line 1"):
        load({"a.jsonl": jsonl(rows)}, labels=("tags",))
    with pytest.raises(DataError, match=r"a\.jsonl:2, field 'tags': found a list, but line 1"):
        load({"a.jsonl": jsonl(rows[::-1])}, labels=("tags",))


def test_a_label_stands_in_one_column_only(load_records):
    records = [{"text": "a", "tags": {"rude": True}, "rude": True}]
    with pytest.raises(DataError, match="field 'rude': found the label 'rude' in another column too"):
        load_records(records, labels=("tags", "rude"))


def test_conversations_under_a_name_of_their_own(load_records):
    loaded = load_records(
        [{"turns": TURNS, "rude": 1}, {"turns": TURNS[:1], "rude": 0}], messages="turns", labels=("rude",)
    )
    frame = loaded.dataset.splits["train"]
    assert [len(turns) for turns in inputs(frame)] == [2, 1]
    assert frame["group"].is_null().to_list() == [False, True]
    with pytest.raises(DataError, match=r"--messages|turnz"):
        load_records([{"turns": TURNS, "rude": 1}], messages="turnz", labels=("rude",))


def test_conversations_as_json_in_csv(load):
    cells = [json.dumps(TURNS), json.dumps([{"role": "user", "content": [{"type": "text", "text": "hi"}]}])]
    rows = "".join('"' + cell.replace('"', '""') + f'",{row}\n' for row, cell in enumerate(cells))
    loaded = load({"a.csv": "turns,rude\n" + rows}, messages="turns", labels=("rude",))
    assert [turn.content for turn in inputs(loaded.dataset.splits["train"])[1]] == ["hi"]
    for cell, message in [
        ('"[{""role"": ""user"", ""content"": 3}]"', r"content': found the number 3"),
        ('"[{""role"": ""boss"", ""content"": ""a""}]"', r"role': found the string 'boss'"),
        ("[]", "found an empty list"),
        ("hello", "is not valid JSON"),
        ("", "found an empty cell, expected a conversation"),
        ('"[{""role"": ""user"", ""content"": ""\\ud800""}]"', "found a lone surrogate"),
        ('"[{""role"": ""user"", ""content"": ""a"", ""content"": ""b""}]"', "2 times"),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            load({"a.csv": "turns,rude\n" + rows + cell + ",1\n"}, messages="turns", labels=("rude",))
        assert caught.value.line == 4


def test_text_and_conversation_columns_side_by_side(load_records):
    records = [{"said": "a", "turns": None, "rude": 1}, {"said": None, "turns": TURNS, "rude": 0}]
    frame = load_records(records, text="said", messages="turns", labels=("rude",)).dataset.splits["train"]
    assert frame["text"].to_list() == ["a", None]
    assert frame["messages"].is_null().to_list() == [True, False]
    with pytest.raises(DataError, match=r":3, field 'turns': found .*said"):
        load_records(
            [*records, {"said": "b", "turns": TURNS, "rude": 1}],
            text="said",
            messages="turns",
            labels=("rude",),
        )


def stated(*targets):
    return jsonl({"text": f"text {row}", "labels": {"t": value}} for row, value in enumerate(targets))


def test_labels_are_renamed_merged_and_dropped(load):
    half_known = {"rude": 0.3, "loud": None}, {"rude": 0, "loud": None}, {"rude": 0.9, "loud": None}
    rows = stated(["rude"], ["loud", "odd"], *half_known, {"loud": 0.2, "rude": 0.4}, None)
    loaded = load({"a.jsonl": rows}, renames={"rude": "bad", "loud": "bad"}, drops=("odd",))
    assert loaded.dataset.schema.target("t").labels == ("bad",)
    np.testing.assert_equal(values(loaded, "t"), np.array([[1], [1], [NAN], [NAN], [0.9], [0.4], [NAN]]))
    swapped = load({"a.jsonl": rows}, renames={"t/rude": "loud", "loud": "rude"})
    assert swapped.dataset.schema.target("t").labels == ("loud", "rude", "odd")


def test_a_merge_with_a_label_that_stays_must_be_said(load):
    rows = stated(["rude"], ["loud"])
    with pytest.raises(UsageError, match=r"'loud' is a label of 't' already.*--rename loud=loud"):
        load({"a.jsonl": rows}, renames={"rude": "loud"})
    loaded = load({"a.jsonl": rows}, renames={"rude": "loud", "loud": "loud"})
    np.testing.assert_equal(values(loaded, "t"), np.array([[1], [1]]))
    assert load({"a.jsonl": rows}, renames={"rude": "loud"}, drops=("loud",)).dataset.schema.target(
        "t"
    ).labels == ("loud",)


def test_unknown_names_are_named(load):
    with pytest.raises(UsageError, match=r"--rename names 'rued', which is not a label.*did you mean 'rude'"):
        load({"a.jsonl": stated(["rude"])}, renames={"rued": "x"})
    with pytest.raises(UsageError, match=r"--drop names 't/lud'.*did you mean 't/loud'"):
        load({"a.jsonl": stated(["rude", "loud"])}, drops=("t/lud",))
    with pytest.raises(UsageError, match="both renamed and dropped"):
        load({"a.jsonl": stated(["rude", "loud"])}, drops=("rude",), renames={"rude": "x"})


def test_classes_merge_by_sum_and_a_dropped_class_is_unknown(load):
    rows = stated("a", "b", "c", {"a": 0.25, "b": 0.25, "c": 0.5}, "d")
    loaded = load({"a.jsonl": rows}, renames={"a": "ab", "b": "ab"}, drops=("d",))
    np.testing.assert_equal(values(loaded, "t"), np.array([[1, 0], [1, 0], [0, 1], [0.5, 0.5], [NAN, NAN]]))


def test_merged_scores_are_thresholded_first(load):
    csv = "text,x,y\n" + "".join(f"t{row},{row / 10},{1 - row / 10}\n" for row in range(11))
    loaded = load({"a.csv": csv}, scores=("x", "y"), threshold="> q0.8", renames={"x": "z", "y": "z"})
    assert values(loaded)[:, 0].tolist() == [1, 1] + [0] * 7 + [1, 1]
    assert loaded.dataset.provenance["steps"][0]["bounds"].keys() == {"x", "y"}
    assert loaded.dataset.provenance["steps"][0]["options"]["renames"] == {"x": "z", "y": "z"}


def test_a_label_of_one_file_only_can_be_renamed(load):
    files = {"a.jsonl": stated(["rude"]), "b.jsonl": stated(["impolite"])}
    loaded = load(files, {"b.jsonl": "test"}, renames={"impolite": "rude", "rude": "rude"})
    assert values(loaded, "t", "test").tolist() == [[1.0]]


def test_nothing_to_do_leaves_files_alone(load):
    from modwright.data.options import Meaning

    assert relabelled([], Meaning()) == []


def test_openai_files_end_in_their_label(load):
    rows = [
        [*TURNS, {"role": "assistant", "content": '["rude"]'}],
        [TURNS[0], {"role": "assistant", "content": "[]"}],
    ]
    loaded = load({"a.jsonl": jsonl({"messages": turns} for turns in rows)}, openai=True)
    frame = loaded.dataset.splits["train"]
    assert values(loaded).tolist() == [[1.0], [0.0]]
    assert frame["text"].to_list() == [None, "hello"]
    classes = [[TURNS[0], {"role": "assistant", "content": name}] for name in ("rude", "kind")]
    loaded = load({"a.jsonl": jsonl({"messages": turns} for turns in classes)}, openai=True)
    assert loaded.dataset.schema.targets[0].kind is TargetKind.SINGLE_LABEL
    with pytest.raises(
        DataError, match=r":1, field 'messages': found 1 messages, the last one of the role user"
    ):
        load({"a.jsonl": jsonl([{"messages": TURNS[:1]}])}, openai=True)


def test_columns_called_target_and_label_are_read_without_being_named(load):
    csv = "text,t/rude,t/loud,u/odd,n\na,1,0,,5\nb,0.5,,1,6\n"
    loaded = load({"a.csv": csv})
    assert loaded.dataset.schema.names == ("t", "u")
    np.testing.assert_equal(values(loaded, "t"), np.array([[1, 0], [0.5, NAN]]))
    assert any("TARGET/LABEL" in note for note in loaded.notes)
    with pytest.raises(DataError, match=r"a\.csv:2, field 't/rude': found '3', expected a number in 0\.\.1"):
        load({"a.csv": "text,t/rude\na,3\n"})


def test_many_rows_of_structs_lists_and_conversations_are_read_by_column(load, monkeypatch):
    """The reader of single records is not touched where a column can be read whole."""
    monkeypatch.setattr("modwright.data.rows.RowCollector.add", None)
    monkeypatch.setattr("modwright.data.conversations.Conversations.read", None)
    records = [{"messages": TURNS, "tags": {"x": row % 2 == 0, "y": True}} for row in range(50)]
    loaded = load({"a.parquet": parquet(records)}, labels=("tags",))
    assert values(loaded).sum(axis=0).tolist() == [25, 50]


def test_a_recorded_schema_never_lets_labels_go_unread(load):
    many = Recorded(Schema((Target.create("t", TargetKind.MULTI_LABEL, ["rude"]),)))
    with pytest.raises(DataError, match="one class per row, but the schema has labels that hold indep"):
        load({"a.csv": "text,label\nhello,rude\nbye,\n"}, recorded=many)
    with pytest.raises(DataError, match="says anything; the others are 'mood'"):
        load({"b.csv": "text,mood\nhello,rude\n"}, recorded=many)
    with pytest.raises(DataError, match="says anything"):
        load({"c.jsonl": '{"text": "hello", "rude": 1}\n'}, recorded=many)
    nothing = load({"d.jsonl": '{"text": "hello", "labels": {}}\n'}, recorded=many)
    assert nothing.dataset.splits["train"]["t/rude"].to_list() == [None]
    one = Recorded(Schema((Target.create("t", TargetKind.SINGLE_LABEL, ["0", "1"]),)))
    classes = load({"e.csv": "text,label\nhello,1\nbye,\n"}, recorded=one)
    assert values(classes, "t") == pytest.approx(np.array([[0, 1], [NAN, NAN]]), nan_ok=True)
