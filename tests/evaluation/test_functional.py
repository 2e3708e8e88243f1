"""Functional tests are read in HateCheck's form and counted by functionality and identity."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.errors import DataError, SchemaError
from modwright.evaluation.functional import measure_functional, read_cases
from modwright.evaluation.robustness_report import robustness_json, robustness_section
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Target, TargetKind
from modwright.testing import TINY_SCHEMA, WordClassifier

POINT = OperatingPoint("default", "by hand", {"moderation": {"insult": 0.5, "threat": 0.5}, "tone": {}})
HEADER = ",functionality,case_id,test_case,label_gold,target_ident,direction,templ_id"
ROWS = [
    "0,direct_insult,1,you are a donkey,hateful,geese,directed,1",
    "1,direct_insult,2,you are a goose,hateful,ducks,directed,1",
    "2,direct_insult,3,you are a swan,hateful,ducks,directed,2",
    "3,negated_insult,4,you are no donkey,non-hateful,geese,,3",
    "4,negated_insult,5,you are kind,non-hateful,,,4",
    '5,threat,6,"I will chase, and honk",hateful,geese,,5',
]


def written(tmp_path, *lines, header=HEADER):
    path = tmp_path / "cases.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def scorer(inputs):
    return WordClassifier().predict_proba(inputs).values


def measured(tmp_path, label="", lines=ROWS, schema=TINY_SCHEMA, point=POINT):
    return measure_functional(
        "cases.csv", read_cases(written(tmp_path, *lines)), schema, point, scorer, label=label
    )


def rates(passed):
    return {(one.name, one.positive): (one.accuracy.value, one.accuracy.n) for one in passed}


def test_cases_are_read(tmp_path):
    cases = read_cases(written(tmp_path, *ROWS))
    assert len(cases) == 6
    assert cases[5].text == "I will chase, and honk"
    assert [case.positive for case in cases] == [True, True, True, False, False, True]
    assert cases[4].identity == ""
    assert cases[0].template == cases[1].template == "1"


@pytest.mark.parametrize(
    ("gold", "positive"), [("1", True), ("0.0", False), ("Hateful", True), ("not hateful", False)]
)
def test_other_sets_write_their_gold_otherwise(tmp_path, gold, positive):
    path = written(tmp_path, f"identity_slur,a case,{gold}", header="functionality,text,label_gold")
    (case,) = read_cases(path)
    assert (case.text, case.positive, case.identity) == ("a case", positive, "")


def test_they_are_counted_by_functionality_gold_and_identity(tmp_path):
    found = measured(tmp_path)
    assert rates(found.overall) == {
        ("", None): (pytest.approx(4 / 6), 6),
        ("", True): (0.75, 4),
        ("", False): (0.5, 2),
    }
    assert rates(found.functionalities) == {
        ("direct_insult", True): (pytest.approx(2 / 3), 3),
        ("negated_insult", False): (0.5, 2),
        ("threat", True): (1.0, 1),
    }
    assert rates(found.identities)["geese", True] == (1.0, 2)
    assert rates(found.identities)["geese", False] == (0.0, 1)
    assert ("", True) not in rates(found.identities)


def test_templates_widen_the_interval(tmp_path):
    def lines(template):
        words = ["donkey", "swan"]
        return [f"{n},a,1,you {words[n % 8 > 4]},hateful,,,{template(n)}" for n in range(40)]

    alone = measured(tmp_path, lines=lines(lambda n: n)).functionalities[0].accuracy
    together = measured(tmp_path, lines=lines(lambda n: n % 8)).functionalities[0].accuracy
    assert together.value == alone.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_one_label_is_asked_for_by_name(tmp_path):
    found = measured(tmp_path, label="moderation/insult")
    assert (found.target, found.label) == ("moderation", "insult")
    assert rates(found.functionalities)["threat", True] == (0.0, 1)
    assert measured(tmp_path, label="rude").target == "tone"


def test_a_label_that_is_never_flagged_is_refused(tmp_path):
    with pytest.raises(SchemaError) as caught:
        measured(tmp_path, label="moderation/insults")
    assert "moderation/insult" in str(caught.value)
    with pytest.raises(SchemaError):
        measured(tmp_path, label="safe")


def test_a_target_that_gives_every_text_a_label_is_asked_for_one(tmp_path):
    topic = Target.create("topic", TargetKind.SINGLE_LABEL, ["music", "sport"])
    point = OperatingPoint("default", "by hand", {"topic": {}})

    def sport(inputs):
        return {"topic": np.asarray([[0.2, 0.8]] * len(inputs))}

    cases = read_cases(written(tmp_path, *ROWS))
    with pytest.raises(SchemaError, match="tests nothing") as caught:
        measure_functional("cases.csv", cases, Schema((topic,)), point, sport)
    assert "topic/sport" in caught.value.remedy
    found = measure_functional("cases.csv", cases, Schema((topic,)), point, sport, label="sport")
    assert rates(found.overall)["", True] == (1.0, 4)


def test_an_ambiguous_label_is_refused(tmp_path):
    kinds = [Target.create(name, TargetKind.MULTI_LABEL, ["insult"]) for name in ("a", "b")]
    with pytest.raises(SchemaError, match="2 targets"):
        measured(tmp_path, label="insult", schema=Schema(tuple(kinds)))


@pytest.mark.parametrize(
    ("header", "lines", "told"),
    [
        ("functionality,test_case,label", ["a,b,1"], "label_gold"),
        ("functionalities,test_case,label_gold", ["a,b,1"], "functionality"),
        ("functionality,tests_case,label_gold", ["a,b,1"], "test_case"),
        ("functionality,test_case,label_gold", ["a,b,1", "a,c,maybe"], "cases.csv:3, field 'label_gold'"),
        ("functionality,test_case,label_gold", ["a,,1"], "cases.csv:2, field 'test_case'"),
        ("functionality,test_case,label_gold", ["a, ,1"], "cases.csv:2, field 'test_case'"),
        ("functionality,test_case,label_gold", [], "no cases"),
    ],
)
def test_a_wrong_file_says_where(tmp_path, header, lines, told):
    with pytest.raises(DataError) as caught:
        read_cases(written(tmp_path, *lines, header=header))
    assert told in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError):
        read_cases(tmp_path / "none.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes("functionality,test_case,label_gold\na,\xe4,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_cases(path)


def test_the_section_shows_functionalities(tmp_path):
    found = measured(tmp_path)
    section = robustness_section({}, (), [found])
    titles = [table.title for table in section.tables]
    assert titles == [
        "Functional tests of cases.csv",
        "cases.csv by functionality",
        "cases.csv by identity",
    ]
    assert section.tables[1].rows[0][:3] == ("direct_insult", "yes", 3)
    assert section.tables[1].thin == (0, 1, 2)
    data = robustness_json({}, (), [found], seed=0)
    assert data["functional"]["cases.csv"]["overall"][0]["accuracy"]["n"] == 6
    assert np.isfinite(data["functional"]["cases.csv"]["overall"][0]["accuracy"]["low"])
