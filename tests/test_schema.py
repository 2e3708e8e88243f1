"""The vocabulary: what contradicts itself cannot be made, and JSON round trips are exact."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.errors import SchemaError
from modwright.schema import (
    Message,
    Role,
    Schema,
    Target,
    TargetKind,
    check_keys,
    pair_input,
    text_input,
)

MULTI, SINGLE = TargetKind.MULTI_LABEL, TargetKind.SINGLE_LABEL


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", MULTI, ("a",)), "empty"),
        (("a/b", MULTI, ("a",)), "holds '/'"),
        (("t", MULTI, ()), "has no labels"),
        (("t", MULTI, ("a", "a")), "names the label 'a' twice"),
        (("t", MULTI, ("a", " ")), "empty label"),
        (("t", MULTI, ("a",), ("b",)), "negative label 'b'"),
        (("t", SINGLE, ("a",)), "at least two"),
    ],
)
def test_a_target_that_contradicts_itself_cannot_be_made(arguments, message):
    with pytest.raises(SchemaError) as caught:
        Target(*arguments)
    assert message in str(caught.value)


def test_negative_labels_are_safe_unless_named():
    target = Target.create("t", MULTI, ["insult", "safe", "fine"])
    assert target.negative_labels == ("safe",)
    assert target.flaggable == ("insult", "fine")
    assert Target.create("t", MULTI, ["insult", "safe"], negative=[]).flaggable == ("insult", "safe")
    assert Target.create("t", MULTI, ["insult"]).negative_labels == ()


def test_whether_anything_is_flagged_is_a_question_where_nothing_may_be():
    labels = ["calm", "rude"]
    assert Target.create("t", MULTI, labels).asks_for_flag
    assert not Target.create("t", MULTI, labels, negative=labels).asks_for_flag
    assert not Target.create("t", SINGLE, labels).asks_for_flag
    assert Target.create("t", SINGLE, labels, negative=["calm"]).asks_for_flag


def test_labels_and_targets_are_found_by_name_or_the_nearest_is_named():
    target = Target.create("tone", MULTI, ["insult", "threat"])
    assert target.index("threat") == 1
    with pytest.raises(SchemaError) as caught:
        target.index("thraet")
    assert caught.value.remedy == "did you mean 'threat'?"
    schema = Schema((target,))
    assert schema.target("tone") is target
    with pytest.raises(SchemaError) as caught:
        schema.target("tune")
    assert caught.value.remedy == "did you mean 'tone'?"


def test_a_schema_has_targets_each_once():
    target = Target.create("t", MULTI, ["a"])
    with pytest.raises(SchemaError, match="no targets"):
        Schema(())
    with pytest.raises(SchemaError, match="declared twice"):
        Schema((target, target))


def test_moderations_are_answered_by_the_target_of_that_name_or_the_only_one():
    one, two = Target.create("moderation", MULTI, ["a"]), Target.create("other", MULTI, ["a"])
    three = Target.create("third", MULTI, ["a"])
    assert Schema((two, one)).moderation_target is one
    assert Schema((two,)).moderation_target is two
    assert Schema((two, three)).moderation_target is None


names = st.text(min_size=1, max_size=8).filter(lambda name: name.strip() and "/" not in name)
targets = st.builds(
    lambda name, kind, labels: Target.create(name, kind, labels),
    names,
    st.sampled_from(TargetKind),
    st.lists(st.text(min_size=1, max_size=6).filter(str.strip), min_size=2, max_size=5, unique=True),
)


@given(targets=st.lists(targets, min_size=1, max_size=4, unique_by=lambda target: target.name))
def test_schemas_survive_json(targets):
    schema = Schema(tuple(targets), positive_above=0.4)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(extra=1), "unknown key 'extra'"),
        (lambda data: data.pop("positive_above"), "'positive_above' is missing"),
        (lambda data: data["targets"][0].update(kin="x"), "unknown key 'kin'"),
        (lambda data: data["targets"][0].update(kind="multi"), "kind is 'multi'"),
        (lambda data: data["targets"][0].pop("labels"), "'labels' is missing"),
    ],
)
def test_schema_json_with_another_shape_is_refused(change, message):
    data = Schema((Target.create("t", MULTI, ["a"]),)).to_json()
    change(data)
    with pytest.raises(SchemaError) as caught:
        Schema.from_json(data)
    assert message in str(caught.value)


def test_check_keys_names_the_nearest():
    check_keys({"a": 1}, {"a"}, "here")
    with pytest.raises(SchemaError) as caught:
        check_keys({"labls": 1}, {"labels"}, "here")
    assert caught.value.remedy == "did you mean 'labels'?"


def test_texts_and_pairs_are_conversations():
    assert text_input("hi") == (Message(Role.USER, "hi"),)
    assert pair_input("q", "a") == (Message(Role.USER, "q"), Message(Role.ASSISTANT, "a"))
