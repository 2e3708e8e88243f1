"""Explanations of a trained model: the words that decide, the files written, the command, and what is refused."""

from __future__ import annotations

import json
from copy import copy

import pytest
from typer.testing import CliRunner

from modwright.cli.app import load_commands
from modwright.errors import DataError, NotFoundError, SchemaError, UsageError
from modwright.pipeline.explain import Asked, explained, lines_of, write_explanations
from modwright.schema import Role
from modwright.testing import LABEL_WORDS, NEUTRAL_WORDS, WordClassifier

INSULT, NEUTRAL = LABEL_WORDS["insult"][0], NEUTRAL_WORDS[0]
TEXT = f"{NEUTRAL} {INSULT} {NEUTRAL_WORDS[1]} <b>\u202e"


def test_the_word_that_decides_is_found_through_a_trained_model(engine):
    (found,) = explained(engine, lines_of(TEXT), Asked())
    labels = {(label.target, label.label): label for label in found.explanation.labels}
    assert ("moderation", "insult") in found.flags
    insult = labels["moderation", "insult"]
    assert found.explanation.pieces[insult.reasons[0]].text == INSULT
    assert insult.score == engine.judge([found.explanation.input])[0].targets["moderation"].scores["insult"]
    assert insult.without_reasons < 0.5 < insult.score


def test_any_classifier_will_do(engine):
    words = copy(engine)
    words.classifier = WordClassifier()
    (found,) = explained(words, lines_of(TEXT), Asked(("insult",)))
    (label,) = found.explanation.labels
    assert [found.explanation.pieces[place].text for place in label.reasons] == [INSULT]


def test_without_a_flag_the_nearest_label_of_every_target_is_explained(engine):
    (found,) = explained(engine, lines_of(NEUTRAL), Asked())
    asked = [label.target for label in found.explanation.labels]
    assert asked == ["moderation", "tone"]
    assert not {label.label for label in found.explanation.labels} & {"safe"}


def test_a_file_of_texts_and_conversations(engine, tmp_path):
    source = tmp_path / "lines.jsonl"
    lines = [{"id": "a", "text": TEXT}, {"prompt": "hello", "response": INSULT}, {"text": "third"}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    read = lines_of(str(source), 2)
    assert [line.id for line in read] == ["a", 2]
    found = list(explained(engine, read, Asked(("moderation/insult", "threat"))))
    assert [[label.label for label in one.explanation.labels] for one in found] == [["insult", "threat"]] * 2
    assert [turn.role for turn in found[1].explanation.input] == [Role.USER, Role.ASSISTANT]
    page, data = write_explanations(tmp_path / "out", "a model", found)
    html = page.read_text(encoding="utf-8")
    assert "<b>" not in html
    assert "\u202e" not in html
    written = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in written] == ["a", "2"]
    assert written[0]["turns"] == [{"role": "user", "content": TEXT}]
    assert "insult" in written[0]["flags"]["moderation"]


def test_what_is_refused(engine, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        lines_of("missing.jsonl")
    with pytest.raises(SchemaError, match="no label 'insolt'") as caught:
        list(explained(engine, lines_of("x"), Asked(("insolt",))))
    assert "insult" in caught.value.remedy
    with pytest.raises(NotFoundError, match="operating point"):
        list(explained(engine, lines_of("x"), Asked(operating_point="nowhere")))
    (tmp_path / "bad.jsonl").write_text("no json\n")
    with pytest.raises(DataError, match="is not JSON"):
        lines_of(str(tmp_path / "bad.jsonl"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        write_explanations(tmp_path / "file", "m", [])
    assert lines_of("a text\0 " + "long " * 5000)[0].id == "text"


def test_the_command(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    run = CliRunner().invoke(load_commands(), ["explain", str(trained.folder), TEXT, "--label", "insult"])
    assert run.exit_code == 0, run.exception
    assert f"[++{INSULT}++]" in run.output
    assert "moderation/insult 0." in run.output
    assert f"  without {INSULT}" in run.output
    assert "\u202e" not in run.output
    as_json = CliRunner().invoke(
        load_commands(), ["explain", str(trained.folder), TEXT, "--json", "--out", str(tmp_path / "out")]
    )
    data = json.loads(as_json.output)
    assert data["explanations"][0]["labels"][0]["label"] == "insult"
    assert data["files"] == [str(tmp_path / "out" / "explain.html"), str(tmp_path / "out" / "explain.jsonl")]


def test_a_page_on_the_folder_one_stands_in_has_a_name(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(trained.folder)
    run = CliRunner().invoke(load_commands(), ["explain", ".", TEXT, "--out", str(tmp_path / "out")])
    assert run.exit_code == 0, run.exception
    assert f"{trained.folder.name}: explanations" in (tmp_path / "out" / "explain.html").read_text()
