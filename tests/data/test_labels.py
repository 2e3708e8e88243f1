"""Label semantics: closed world, unknown, soft, single-label, several files, negative labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.data.dataset import labels, weights
from modwright.errors import DataError, UsageError
from modwright.schema import TargetKind

NAN = np.nan


def jsonl(*records):
    return "".join(
        json.dumps({"text": f"text {place}", **record}) + "\n" for place, record in enumerate(records)
    )


def stated(*targets):
    return jsonl(*({"labels": {"t": value}} for value in targets))


def values(loaded, target="t", split="train"):
    dataset = loaded.dataset
    return labels(dataset.splits[split], dataset.schema.target(target)).tolist()


def same(found, expected):
    np.testing.assert_equal(found, expected)


def test_lists_are_closed_world_and_null_or_missing_is_unknown(load):
    loaded = load({"a.jsonl": stated(["rude", "loud"], [], None, ["loud"]) + jsonl({"labels": {}}, {})})
    target = loaded.dataset.schema.target("t")
    assert (target.kind, target.labels) == (TargetKind.MULTI_LABEL, ("rude", "loud"))
    same(values(loaded), [[1, 1], [0, 0], [NAN, NAN], [0, 1], [NAN, NAN], [NAN, NAN]])


def test_objects_are_soft_and_partly_known(load):
    loaded = load({"a.jsonl": stated({"rude": 0.7, "loud": None}, ["loud"], {"loud": 1})})
    same(values(loaded), [[0.7, NAN], [0, 1], [NAN, 1]])


def test_strings_make_a_single_label_target(load):
    loaded = load({"a.jsonl": stated("rude", "kind", None, {"rude": 0.25, "kind": 0.75})})
    target = loaded.dataset.schema.target("t")
    assert (target.kind, target.labels) == (TargetKind.SINGLE_LABEL, ("rude", "kind"))
    same(values(loaded), [[1, 0], [0, 1], [NAN, NAN], [0.25, 0.75]])


def test_several_targets_at_once(load):
    loaded = load(
        {"a.jsonl": jsonl({"labels": {"t": ["rude"], "tone": "cold"}}, {"labels": {"tone": "warm"}})}
    )
    assert loaded.dataset.schema.names == ("t", "tone")
    same(values(loaded), [[1], [NAN]])
    same(values(loaded, "tone"), [[1, 0], [0, 1]])


def test_files_with_other_label_sets_are_closed_over_their_own(load):
    files = {"a.jsonl": stated(["rude"], []), "b.jsonl": stated(["loud"], [])}
    same(values(load(files)), [[1, NAN], [0, NAN], [NAN, 1], [NAN, 0]])
    declared = load(files, declared={"t": ("loud", "rude")})
    same(values(declared), [[0, 1], [0, 0], [1, 0], [0, 0]])


def test_single_label_files_exclude_each_others_classes(load):
    loaded = load({"a.jsonl": stated("rude", "kind"), "b.jsonl": stated("loud")})
    same(values(loaded), [[1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_a_label_that_only_a_later_split_has_is_an_error_at_its_line(load):
    files = {"a.jsonl": stated(["rude"], []), "v.jsonl": stated([], ["rude"], ["rued"])}
    with pytest.raises(
        DataError, match=r"v\.jsonl:3, field 'labels\.t': found the label 'rued'.*did you mean 'rude'"
    ):
        load(files, {"v.jsonl": "validation"})
    with pytest.raises(DataError, match=r"v\.jsonl:1, field 'labels\.u': found the target 'u'"):
        load(
            {"a.jsonl": stated(["rude"]), "v.jsonl": jsonl({"labels": {"u": ["x"]}})},
            {"v.jsonl": "validation"},
        )


def test_a_later_split_is_held_to_the_frozen_order(load):
    loaded = load(
        {"v.jsonl": stated(["loud"], []), "a.jsonl": stated(["rude"], ["loud"])}, {"v.jsonl": "test"}
    )
    assert list(loaded.dataset.splits) == ["train", "test"]
    same(values(loaded, split="test"), [[NAN, 1], [NAN, 0]])
    assert any("never names rude" in note for note in loaded.notes)


def test_forms_must_agree_between_files(load):
    with pytest.raises(
        DataError, match=r"b\.jsonl:1.*one class per row.*a\.jsonl has labels that hold independently"
    ):
        load({"a.jsonl": stated(["rude"]), "b.jsonl": stated("kind")})


def test_negative_labels(load):
    schema = load({"a.jsonl": stated(["safe"], ["rude"])}).dataset.schema
    assert schema.target("t").negative_labels == ("safe",)
    schema = load({"a.jsonl": stated("fine", "rude")}, negative=("fine",)).dataset.schema
    assert schema.target("t").flaggable == ("rude",)
    with pytest.raises(DataError, match=r"--negative names 'fin'.*did you mean 'fine'"):
        load({"a.jsonl": stated("fine", "rude")}, negative=("fin",))
    assert any("is negative" in note for note in load({"a.jsonl": stated("fine", "rude")}).notes)


CSV = "text,rude,loud,year\na,1,0,2001\nb,,true,2002\nc,FALSE, 1 ,\n"


def test_columns_of_flags_with_empty_cells_unknown(load):
    loaded = load({"a.csv": CSV}, labels=("rude", "loud"))
    same(values(loaded, "moderation"), [[1, 0], [NAN, 1], [0, 1]])
    assert loaded.dataset.splits["train"]["year"].to_list() == ["2001", "2002", None]


def test_one_column_of_0_and_1_is_a_label_unless_told_otherwise(load):
    content = "text,rude\na,1\nb,0\n"
    loaded = load({"a.csv": content}, labels=("rude",))
    same(values(loaded, "moderation"), [[1], [0]])
    assert any("--kind single_label" in note for note in loaded.notes)
    loaded = load({"a.csv": content}, labels=("rude",), kind=TargetKind.SINGLE_LABEL)
    assert loaded.dataset.schema.target("moderation").labels == ("1", "0")


def test_one_column_of_classes_is_decided_over_all_files(load):
    files = {"a.csv": "text,tone\na,0\nb,1\nc,2\n", "v.csv": "text,tone\nd,0\ne,1\nf,\n"}
    loaded = load(files, {"v.csv": "test"}, labels=("tone",), target="tone")
    target = loaded.dataset.schema.target("tone")
    assert (target.kind, target.labels) == (TargetKind.SINGLE_LABEL, ("0", "1", "2"))
    same(values(loaded, "tone", "test"), [[1, 0, 0], [0, 1, 0], [NAN] * 3])


def test_columns_by_their_usual_names(load):
    loaded = load({"a.csv": "text,label\na,rude\nb,kind\n"})
    assert loaded.dataset.schema.target("moderation").labels == ("rude", "kind")
    assert any("read from the column 'label'" in note for note in loaded.notes)
    loaded = load({"a.jsonl": jsonl({"label": "rude"}, {"label": "kind"})}, labels=("label",))
    same(values(loaded, "moderation"), [[1, 0], [0, 1]])


def test_json_flags_and_scores_by_key(load):
    rows = jsonl({"rude": True, "loud": 0.75}, {"rude": 0, "loud": None}, {"rude": None, "loud": 1})
    loaded = load({"a.jsonl": rows}, labels=("rude",), scores=("loud",))
    same(values(loaded, "moderation"), [[1, 0.75], [0, NAN], [NAN, 1]])


SCORES = "text,rude\n" + "".join(f"t{place},{place / 10}\n" for place in range(10))


@pytest.mark.parametrize(
    ("expression", "positives"),
    [("> 0.5", 4), (">= 0.5", 5), (">=median", 5), ("> q0.8", 2), ("> -1", 10), (">  8e-1", 1)],
)
def test_thresholds(load, expression, positives):
    loaded = load({"a.csv": SCORES}, scores=("rude",), threshold=expression)
    assert sum(value for (value,) in values(loaded, "moderation")) == positives
    assert loaded.dataset.splits["train"]["rude"].to_list() == [place / 10 for place in range(10)]


def test_a_quantile_comes_from_the_training_rows_alone(load):
    files = {"a.csv": SCORES, "t.csv": "text,rude\na,100\nb,0.44\nc,\n"}
    loaded = load(files, {"t.csv": "test"}, scores=("rude",), threshold=">= median")
    same(values(loaded, "moderation", "test"), [[1], [0], [NAN]])
    assert any("holds where the score is >= 0.45" in note for note in loaded.notes)


@pytest.mark.parametrize(
    "expression", ["0.5", "< 0.5", "> ", "> q1.5", "> q0", "> nan", "> 1e999", "> --", "= 1"]
)
def test_thresholds_that_make_no_sense(load, expression):
    with pytest.raises(UsageError, match="--threshold is"):
        load({"a.csv": SCORES}, scores=("rude",), threshold=expression)


def test_a_column_that_is_too_low_throughout_is_named(load):
    with pytest.raises(DataError, match=r"field 'rude': the label 'rude' was declared.*highest value 0\.2"):
        load({"a.csv": "text,rude\na,0.2\nb,0.1\n"}, scores=("rude",))


def test_weights_and_ids(load):
    loaded = load({"a.jsonl": jsonl({"id": 7, "weight": 2, "labels": {"t": ["x"]}}, {"id": "b"}, {})})
    frame = loaded.dataset.splits["train"]
    assert frame["id"].to_list() == ["7", "b", "train-3"]
    assert weights(frame).tolist() == [2.0, 1.0, 1.0]
    loaded = load({"a.csv": "key,text,rude,w\nx,a,1,0.5\ny,b,0,\n"}, labels=("rude",), id="key", weight="w")
    frame = loaded.dataset.splits["train"]
    assert frame["id"].to_list() == ["x", "y"]
    assert weights(frame).tolist() == [0.5, 1.0]


def test_other_keys_become_columns_and_taken_names_move_aside(load):
    rows = jsonl(
        {"labels": {"t": ["x"]}, "year": 2001, "source": "web", "tags": ["a"]},
        {"year": 2002.5, "group": "g", "tags": "b", "ok": True},
    )
    loaded = load({"a.jsonl": rows})
    frame = loaded.dataset.splits["train"]
    assert frame.columns[-5:] == ["year", "source_", "tags", "group_", "ok"]
    assert frame.select("year", "source_", "tags", "group_", "ok").rows() == [
        (2001.0, "web", '["a"]', None, None),
        (2002.5, None, "b", "g", True),
    ]
    assert "the column 'source' is kept as 'source_'" in loaded.notes
