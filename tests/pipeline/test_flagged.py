"""Answers of several models before several judges: figures, files of every form, judges of every kind, the picture."""

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loopback import completion, stand_in
from sklearn import metrics as sk

from modwright.data.options import Meaning
from modwright.errors import DataError, MissingExtraError, NotFoundError, UsageError
from modwright.evaluation.agreement import proportion
from modwright.pipeline.flagged import ALL, FlaggedOptions, flagged, measured
from modwright.pipeline.flagged_table import agreement_rows, markdown, proportion_rows
from modwright.pipeline.judges import JudgeOptions, Verdicts
from modwright.schema import Schema, pair_input
from modwright.serving.engine import Engine
from modwright.settings import Settings

PROMPTS = [f"What did animal {n} say?" for n in range(12)]
ANSWERS = {"polite": "the garden was quiet", "rude": "you silly goose"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture
def answers(tmp_path):
    """A file of two models' answers, judged by two people in words of their own."""
    path = tmp_path / "answers.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["prompt", "response", "who", "first", "second", "share"])
        for n, prompt in enumerate(PROMPTS):
            for who, response in ANSWERS.items():
                first = "1_full" if who == "polite" else "2_refusal" if n % 2 else "3_partial"
                second = "" if n == 0 else "2_refusal" if who == "rude" and n != 3 else "1_full"
                writer.writerow([prompt, response, who, first, second, n / 11])
    return path


def people(answers, **changes):
    judges = ("first=2_refusal,3_partial", "second=2_refusal")
    return FlaggedOptions(
        **{"sources": (answers,), "judges": judges, "model_column": "who", "resamples": 50, **changes}
    )


def test_the_figures_are_those_of_the_rows(answers, settings, tmp_path):
    found = flagged(people(answers), tmp_path / "out", settings)
    assert dict(found.models) == {"polite": 12, "rude": 12}
    assert found.proportions["rude"]["first"].value == 1.0
    assert found.proportions["polite"]["first"].value == 0.0
    assert found.proportions["rude"]["second"] == proportion(np.array([n != 3 for n in range(1, 12)]))
    (pair,) = found.agreements["rude"]
    assert (pair.agreement.n, pair.agreement.value) == (11, pytest.approx(10 / 11))
    (whole,) = found.agreements[ALL]
    first = [who == "rude" for n in range(1, 12) for who in ANSWERS]
    second = [who == "rude" and n != 3 for n in range(1, 12) for who in ANSWERS]
    assert whole.kappa.value == pytest.approx(sk.cohen_kappa_score(first, second))
    assert whole.counts.tolist() == sk.confusion_matrix(first, second).tolist()
    assert found.groups == 12


def test_what_is_written(answers, settings, tmp_path):
    found = flagged(people(answers), tmp_path / "out", settings)
    data = json.loads((tmp_path / "out" / "flagged.json").read_text(), parse_constant=pytest.fail)
    assert data == json.loads(json.dumps(found.to_json()))
    assert data["judges"]["second"] == {"is": "column: 2_refusal", "unknown": 2, "failures": {}}
    assert list(data["agreement"]) == ["polite", "rude", ALL]
    table = (tmp_path / "out" / "flagged.md").read_text()
    assert "| model | answers | first | second |" in table
    assert re.search(r"\| rude \| 12 \| 100\u202f% \(76–100\) \| 91\u202f% \(62–98\) \|", table)
    assert "no verdict on 2 answers" in table
    assert (tmp_path / "out" / "flagged.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "out" / "flagged.svg").read_text()
    assert "polite" in svg
    assert "first – second" in svg
    for name in ("flagged.json", "flagged.md", "flagged.svg"):
        assert "goose" not in (tmp_path / "out" / name).read_text()
    again = flagged(people(answers), tmp_path / "again", settings)
    assert again.to_json() == found.to_json()
    assert (tmp_path / "again" / "flagged.svg").read_bytes() == (
        tmp_path / "out" / "flagged.svg"
    ).read_bytes()


def test_each_file_is_a_model_where_no_column_says_so(settings, tmp_path):
    for name, verdicts in (("duck", (1, 0)), ("swan", (0, 0))):
        lines = [{"text": f"honk {n}", "flag": bool(on)} for n, on in enumerate(verdicts)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    sources = (tmp_path / "duck.jsonl", tmp_path / "swan.jsonl")
    found = flagged(FlaggedOptions(sources, ("flag",)), tmp_path / "out", settings)
    assert {model: by["flag"].value for model, by in found.proportions.items()} == {"duck": 0.5, "swan": 0.0}
    assert found.agreements["duck"] == []
    assert "not enough evidence" in markdown(found)
    alone = flagged(FlaggedOptions(sources[:1], ("flag",)), tmp_path / "out", settings)
    assert list(alone.models) == [ALL]
    assert list(alone.agreements) == [ALL]


def test_an_artifact_judges_prompt_and_response(answers, settings, trained, engine, tmp_path):
    told = []
    judges = ("first=2_refusal,3_partial", str(trained.folder))
    options = people(answers, judges=judges, asking=JudgeOptions(target="moderation"))
    found = flagged(options, tmp_path / "out", settings, lambda *progress: told.append(progress))
    judged = engine.judge(
        [pair_input(prompt, response) for prompt in PROMPTS for response in ANSWERS.values()]
    )
    expected = [float(bool(one.targets["moderation"].flags)) for one in judged]
    assert found.judges[1].flagged.tolist() == expected
    assert found.judges[1].what.endswith("any flag of moderation at the operating point 'default'")
    assert told == [(trained.folder.name, 24, 24)]
    with pytest.raises(NotFoundError, match="unknown operating point"):
        flagged(people(answers, judges=judges, asking=JudgeOptions("strct")), tmp_path / "out", settings)


def test_an_llm_judges_and_its_failures_are_counted(answers, settings, tmp_path):
    def answer(_, document):
        text = json.loads(document["messages"][1]["content"])["messages"]
        if "animal 3" in text[0]["content"]:
            return completion("I cannot say.")
        return completion(json.dumps({"moderation": ["harmful"] if "goose" in text[1]["content"] else []}))

    with stand_in(answer) as server:
        judges = ("first=2_refusal,3_partial", f"llm:tiny@{server.url}")
        found = flagged(people(answers, judges=judges), tmp_path / "out", settings)
    assert found.judges[1].failures == {"refused": 2}
    assert found.proportions["rude"][found.judges[1].name].value == 1.0
    assert found.agreements[ALL][0].kappa.value == 1.0
    assert "(2 refused)" in markdown(found)


def test_a_server_that_knows_none_of_the_labels_is_no_judge(answers, settings, tmp_path):
    result = {"categories": {"swan": True}, "category_scores": {"swan": 0.9}}
    with stand_in(lambda _, document: (200, {"results": [result] * len(document["input"])}, {})) as server:
        spec = f"{server.url}/v1/moderations"
        with pytest.raises(UsageError, match="judges none of harmful"):
            flagged(people(answers, judges=(spec,)), tmp_path / "out", settings)
        found = flagged(
            people(answers, judges=(spec,), asking=JudgeOptions(labels=("swan",))), tmp_path / "o", settings
        )
    assert found.proportions["polite"][found.judges[0].name].value == 1.0


def test_labels_that_a_server_does_not_judge_are_named(answers, settings, tmp_path):
    result = {"categories": {"violence": True}, "category_scores": {"violence": 0.9}}
    with stand_in(lambda _, document: (200, {"results": [result] * len(document["input"])}, {})) as server:
        asking = JudgeOptions(labels=("violence", "hate"))
        judges = (f"{server.url}/v1/moderations",)
        found = flagged(people(answers, judges=judges, asking=asking), tmp_path / "out", settings)
        asked = len(server.requests)
        with pytest.raises(UsageError, match="safe is never flagged"):
            flagged(
                people(answers, judges=judges, asking=JudgeOptions(labels=("safe",))),
                tmp_path / "o",
                settings,
            )
        assert len(server.requests) == asked
    assert found.judges[0].what.endswith(": any of violence; does not judge hate")
    assert "does not judge hate" in markdown(found)


def test_all_judges_are_looked_at_before_one_is_asked(answers, settings, tmp_path, monkeypatch):
    """The last judge is none, or nothing can be drawn: a server that may cost money has not been asked."""
    asked = []

    def answer(_, document):
        asked.append(document)
        return completion(json.dumps({"moderation": []}))

    with stand_in(answer) as server:
        first = f"llm:tiny@{server.url}"
        for last, error in (
            ("secnd=2_refusal", NotFoundError),
            ("second=2_refsal", DataError),
            (f"{server.url}/v1/pictures", UsageError),
            ("x" * 5_000, NotFoundError),
            (first, UsageError),
        ):
            with pytest.raises(error) as raised:
                flagged(people(answers, judges=(first, last)), tmp_path / "out", settings)
            assert len(str(raised.value)) < 1_000
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, "matplotlib.figure", None)
            with pytest.raises(MissingExtraError):
                flagged(people(answers, judges=(first,)), tmp_path / "out", settings)
        assert asked == []
        assert not (tmp_path / "out").exists()
        flagged(people(answers, judges=(first,)), tmp_path / "out", settings)
    assert len(asked) == 24


def test_judges_of_equal_names_are_numbered(answers, settings, tmp_path):
    judges = ("first=2_refusal", "first=2_refusal,3_partial", "second=2_refusal")
    found = flagged(people(answers, judges=judges), tmp_path / "out", settings)
    assert [judge.name for judge in found.judges] == ["first", "first (2)", "second"]
    assert found.proportions["rude"]["first (2)"].value == 1.0
    assert found.proportions["rude"]["first"].value < 1.0


def test_an_artifact_that_gives_every_text_a_label_flags_all_and_is_no_judge(
    answers, settings, trained, tmp_path, monkeypatch
):
    engine = Engine.load(trained.folder, threads=1)
    tone = replace(engine.schema.target("tone"), negative_labels=())
    engine.schema = Schema((engine.schema.target("moderation"), tone))
    monkeypatch.setattr(Engine, "load", lambda folder, **_: engine)
    judges = (str(trained.folder),)
    with pytest.raises(UsageError, match=r"'tone' of .* every text gets one of the labels"):
        flagged(
            people(answers, judges=judges, asking=JudgeOptions(target="tone")), tmp_path / "out", settings
        )
    found = flagged(people(answers, judges=judges), tmp_path / "out", settings)
    assert "any flag of moderation at" in found.judges[0].what


@pytest.mark.parametrize(
    ("files", "models"),
    [
        (("a/answers.csv", "b/answers.csv"), ("a/answers.csv", "b/answers.csv")),
        (("a/x/answers.csv", "b/x/answers.csv", "b/y.csv"), ("a/x/answers.csv", "b/x/answers.csv", None)),
        (("answers.csv", "answers.jsonl"), ("answers.csv", "answers.jsonl")),
        (("a/duck.csv", "b/swan.csv"), ("duck", "swan")),
    ],
)
def test_files_of_one_name_are_models_of_their_own(files, models, settings, tmp_path):
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text,flag\nhonk,1\n" if path.suffix == ".csv" else '{"text": "honk", "flag": 1}\n')
    found = flagged(
        FlaggedOptions(tuple(tmp_path / name for name in files), ("flag",)), tmp_path / "out", settings
    )
    expected = [
        f"{tmp_path.name}/{name}" if told is None else told for name, told in zip(files, models, strict=True)
    ]
    assert list(found.models) == expected
    assert set(found.models.values()) == {1}


def test_a_file_counts_once(settings, tmp_path, monkeypatch):
    (tmp_path / "answers.csv").write_text("text,flag\nhonk,1\n")
    monkeypatch.chdir(tmp_path)
    twice = (Path("answers.csv"), tmp_path / "answers.csv")
    with pytest.raises(UsageError, match="give each once"):
        flagged(FlaggedOptions(twice, ("flag",)), tmp_path / "out", settings)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Yes", "no", ""], [1, 0, None]),
        (["harmful", "unharmful", "safe"], [1, 0, 0]),
        (["0.4", "0.6", " "], [0, 1, None]),
        (["1", "0", "1"], [1, 0, 1]),
    ],
)
def test_columns_that_need_no_explaining(cells, expected, settings, tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("text,flag\n" + "".join(f"honk {n},{cell}\n" for n, cell in enumerate(cells)))
    found = flagged(FlaggedOptions((path,), ("flag",)), tmp_path / "out", settings)
    assert [None if np.isnan(value) else value for value in found.judges[0].flagged] == expected


def test_columns_that_do(answers, settings, tmp_path):
    with pytest.raises(DataError, match="3 different values") as raised:
        flagged(people(answers, judges=("first",)), tmp_path / "out", settings)
    assert "--judge 'first=VALUE,VALUE'" in raised.value.remedy
    with pytest.raises(DataError, match="no row says '2_refsal'") as raised:
        flagged(people(answers, judges=("first=2_refsal",)), tmp_path / "out", settings)
    assert "'2_refusal'" in raised.value.remedy
    with pytest.raises(NotFoundError, match="neither an artifact's folder nor a column") as raised:
        flagged(people(answers, judges=("frst=2_refusal",)), tmp_path / "out", settings)
    assert "'first'" in raised.value.remedy
    with pytest.raises(UsageError, match="each once"):
        flagged(people(answers, judges=("share", "share")), tmp_path / "out", settings)
    with pytest.raises(DataError, match="no column 'model'"):
        flagged(people(answers, model_column="model"), tmp_path / "out", settings)
    with pytest.raises(DataError, match="no column 'answer'"):
        flagged(
            people(answers, meaning=Meaning(prompt="prompt", response="answer")), tmp_path / "out", settings
        )
    (tmp_path / "file").write_text("goose")
    with pytest.raises(UsageError, match="is a file"):
        flagged(people(answers), tmp_path / "file", settings)


def test_hostile_names_stay_names(tmp_path):
    verdicts = [
        Verdicts("a|b<script>", "column", np.array([1.0, 0.0])),
        Verdicts("$\\frac{x}", "column", np.ones(2)),
    ]
    found = measured(["x\u202ey", "_z_"], ["p", "q"], verdicts, resamples=5)
    text = markdown(found)
    assert "| \\_z\\_ |" in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\u202e" not in text
    assert [row[0] for row in proportion_rows(found)[1:]] == ["x\u202ey", "_z_"]
    assert len(agreement_rows(found)) == 4
    from modwright.pipeline.flagged import draw

    draw(found, [tmp_path / "p.svg"])
    assert "<script>" not in (tmp_path / "p.svg").read_text()


def test_a_row_without_a_model_has_a_line(settings, tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("text,flag,model\nhonk,1,duck\nhonk,0,\n")
    with pytest.raises(DataError, match=r"answers\.csv:3, field 'model': names no model"):
        flagged(FlaggedOptions((path,), ("flag",), model_column="model"), tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()
