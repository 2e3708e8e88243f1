"""A model beside another artifact, baselines and a server: figures, sections, speed, failures, rows they disagree on."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from loopback import completion, stand_in
from sklearn import metrics as sk

from modwright.data.dataset import make_dataset
from modwright.errors import UsageError
from modwright.evaluation.sections import sections_json
from modwright.pipeline.against.local import ArtifactOther, Majority, base_rates
from modwright.pipeline.against.specs import AgainstOptions, open_other
from modwright.pipeline.against.tfidf import Tfidf
from modwright.pipeline.against.wire import WireOptions
from modwright.pipeline.comparing import against
from modwright.pipeline.evaluate import evaluate
from modwright.pipeline.rows import rows_of
from modwright.schema import Schema, Target, TargetKind, text_input
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.testing import MODERATION, TINY_SCHEMA, TONE


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture(scope="module")
def training(dataset):
    return rows_of(dataset.split("train"), TINY_SCHEMA)


@pytest.fixture(scope="module")
def compared(trained, tiny_artifacts, dataset, settings, tmp_path_factory):
    """The model against another artifact, both baselines, and an LLM that fails on every third row."""

    def answer(_, document):
        text = json.loads(document["messages"][1]["content"])["text"]
        if len(text) % 3 == 0:
            return completion("no idea")
        labels = ["insult"] if "goose" in text else []
        return completion(json.dumps({"moderation": labels, "tone": "rude" if labels else "kind"}))

    out = tmp_path_factory.mktemp("compared")
    with stand_in(answer) as server:
        other, llm = str(tiny_artifacts[1]), f"llm:tiny@{server.url}"
        options = AgainstOptions(WireOptions(), most_rows=20)
        measurement = against([other, "majority", "tfidf", llm], settings, options)
        result = evaluate(
            trained.folder, dataset, out, settings, splits=["test"], resamples=50, measurements=[measurement]
        )
    return result, json.loads(result.metrics.read_text(), parse_constant=pytest.fail)["comparison"], llm


def test_each_other_stands_in_the_metrics(compared, engine, dataset):
    _, data, llm = compared
    name = llm.removeprefix("llm:").replace("http://", "")
    assert list(data) == ["model1", "majority", "tfidf", name]
    rows = rows_of(dataset.split("test"), TINY_SCHEMA)
    for found in data.values():
        insult = found["test"]["targets"]["moderation"]["labels"]["insult"]
        assert set(insult["metrics"]["f1"]) == {"one", "other", "difference"}
        assert set(insult["mcnemar"]) == {"only_one", "only_other", "p", "p_holm"}
    own = engine.calibrated(rows.inputs).values["moderation"][:, 0]
    area = data["tfidf"]["test"]["targets"]["moderation"]["labels"]["insult"]["metrics"]["roc_auc"]
    assert area["one"]["value"] == pytest.approx(
        sk.roc_auc_score(rows.labels["moderation"][:, 0], own), abs=1e-6
    )
    assert (
        data["majority"]["test"]["targets"]["moderation"]["labels"]["insult"]["metrics"]["roc_auc"]["other"][
            "value"
        ]
        == 0.5
    )


def test_failures_are_told_and_count_as_wrong(compared):
    result, data, llm = compared
    found = data[llm.removeprefix("llm:").replace("http://", "")]["test"]
    assert found["rows"] == 20
    assert found["failures"] == {"unparsable": found["failed"]["other"]}
    assert found["failed"] == {"one": 0, "other": found["failures"]["unparsable"]}
    section = result.findings[0].sections[4]
    assert any("gave no answer for" in note for note in section.notes)
    assert any("drawn at random" in note for note in section.notes)
    assert any("without an answer" in table.title for table in section.tables)
    assert set(found["targets"]["moderation"]["labels"]["insult"]["metrics"]) == {"f1", "precision", "recall"}
    decision = found["targets"]["moderation"]["decision"]["accuracy"]["other"]["value"]
    assert decision <= 1 - found["failed"]["other"] / 20


def test_speed_is_measured_in_the_same_run(compared):
    _, data, llm = compared
    assert data["tfidf"]["test"]["speed"]["in_turns"]
    assert (
        data["tfidf"]["test"]["speed"]["one"]["texts"]
        == data["tfidf"]["test"]["speed"]["other"]["texts"]
        == 40
    )
    assert data["tfidf"]["test"]["speed"]["one"]["texts_per_s"] > 0
    assert not data[llm.removeprefix("llm:").replace("http://", "")]["test"]["speed"]["in_turns"]


def test_texts_are_hidden_and_in_no_json(compared, dataset):
    result, data, _ = compared
    section = result.findings[0].sections[2]
    (hidden,) = [table for table in section.tables if table.hidden]
    texts = dict(
        zip(dataset.split("test")["id"].to_list(), dataset.split("test")["text"].to_list(), strict=True)
    )
    assert all(row[-1] == texts[row[0]] for row in hidden.rows)
    told = json.dumps([data, sections_json(result.findings[0].sections)])
    assert not any(text in told for text in texts.values())
    assert [row[0] for row in hidden.rows] == [
        item["id"] for item in data["majority"]["test"]["disagreements"]
    ]


def test_sections_have_keys_of_their_own(compared):
    sections = compared[0].findings[0].sections
    keys = ["against", "against-1", "against-2", "against-3", "against-4"]
    assert list(sections_json(sections)) == keys
    assert sections[3].title == "Against tfidf"
    assert sections[3].headline.startswith("test, moderation: F1, any flag ")
    assert "of tfidf (difference " in sections[3].headline


def test_all_stand_side_by_side(compared):
    result, data, llm = compared
    moderation, tone = result.findings[0].sections[0].tables
    assert [row[0] for row in moderation.rows] == ["model", *data]
    assert (moderation.columns[2], tone.columns[2]) == ("F1, any flag", "accuracy, right class")
    last = moderation.rows[-1]
    found = data[llm.removeprefix("llm:").replace("http://", "")]["test"]
    assert (last[1], last[-1]) == (20, found["failed"]["other"])
    assert last[2].value == found["targets"]["moderation"]["decision"]["f1"]["other"]["value"]
    assert moderation.rows[0][2].n == 40


def only(*labels):
    """Answer as a moderation endpoint that knows some labels alone."""
    scores = dict.fromkeys(labels, 0.6)
    row = {"categories": dict.fromkeys(labels, True), "category_scores": scores}
    return lambda _, document: (200, {"results": [row] * len(document["input"])}, {})


def test_side_by_side_stands_one_figure_that_all_have(trained, dataset, settings, tmp_path):
    """A moderation endpoint has no decision where it lacks a label: its F1 of one label is no F1 of any flag."""
    with stand_in(only("insult")) as server:
        measurement = against(["majority", f"{server.url}/v1/moderations"], settings)
        result = evaluate(
            trained.folder,
            dataset,
            tmp_path,
            settings,
            splits=["test"],
            resamples=5,
            measurements=[measurement],
        )
    (finding,) = result.findings
    moderation, tone = finding.sections[0].tables
    assert moderation.title == "test, moderation: F1 of insult"
    found = {name: one["test"]["targets"]["moderation"] for name, one in finding.figures.items()}
    values = [target["labels"]["insult"]["metrics"]["f1"]["other"]["value"] for target in found.values()]
    assert [row[2].value for row in moderation.rows[1:]] == values
    ours = found["majority"]["labels"]["insult"]["metrics"]["f1"]["one"]["value"]
    assert moderation.rows[0][2].value == ours
    assert [row[2] is None for row in tone.rows] == [False, False, True]
    assert (tone.columns[2], tone.rows[2][3:5]) == ("accuracy, right class", (None, ""))
    assert "has no accuracy, right class" in tone.note
    assert "–" in (tmp_path / "report.md").read_text()


def test_side_by_side_without_a_figure_that_all_have(trained, dataset, settings, tmp_path):
    with stand_in(only("insult")) as one, stand_in(only("threat")) as two, stand_in(only("threat")) as three:
        specs = [f"{server.url}/v1/moderations" for server in (one, two, three)]
        measurement = against(specs, settings, AgainstOptions(most_rows=5))
        finding = evaluate(
            trained.folder,
            dataset,
            tmp_path,
            settings,
            splits=["test"],
            resamples=0,
            measurements=[measurement],
        ).findings[0]
    (moderation,) = finding.sections[0].tables
    assert moderation.columns[2] == "F1 of threat"
    assert [row[2] is None for row in moderation.rows] == [False, True, False, False]


def test_one_that_cannot_be_compared_takes_nothing_with_it(trained, dataset, settings, tmp_path):
    """Without any answer it has its failures; one that answers nobody, or knows no label, is told; the others stay."""

    def paid(_, document):
        return completion(json.dumps({"moderation": [], "tone": "kind"}))

    options = AgainstOptions(most_rows=20)
    with (
        stand_in(lambda *_: completion("no idea")) as silent,
        stand_in(lambda *_: (403, {"message": "goose away"}, {})) as closed,
        stand_in(only("else")) as foreign,
        stand_in(paid) as server,
    ):
        specs = [f"llm:m@{silent.url}", f"llm:m@{closed.url}", f"{foreign.url}/v1/moderations"]
        specs += [f"llm:m@{server.url}", "majority"]
        result = evaluate(
            trained.folder,
            dataset,
            tmp_path,
            settings,
            splits=["test"],
            resamples=5,
            measurements=[against(specs, settings, options)],
        )
    data = json.loads(result.metrics.read_text())
    first, second, third, fourth, last = data["comparison"].values()
    assert (first["test"]["failures"], first["test"]["targets"]) == ({"unparsable": 20}, {})
    assert second["test"]["error"]["code"] == "forbidden"
    assert "no label in common" in third["test"]["error"]["message"]
    assert set(fourth["test"]["targets"]) == set(last["test"]["targets"]) == {"moderation", "tone"}
    assert set(data["splits"]) == {"test"}
    assert [error.code for error in result.failures] == ["forbidden", "usage"]
    (silence,) = [note for note in result.notes if "gave no answer" in note]
    assert silence == f"m@{silent.url[7:]} gave no answer to any row of test (unparsable 20)."
    assert any("was not compared on test: goose away" in note for note in result.notes)
    sections = result.findings[0].sections
    assert sections[1].headline == silence
    assert sections[2].headline.endswith("was not compared.")
    assert [len(section.tables) > 2 for section in sections[1:]] == [False, False, False, True, True]
    assert "goose away" in result.report.read_text()


def test_nothing_is_asked_before_all_are_known_to_be_there(trained, dataset, settings, tmp_path, monkeypatch):
    monkeypatch.delenv("SWAN_KEY", raising=False)
    keyed = AgainstOptions(WireOptions("SWAN_KEY"))
    renamed = AgainstOptions(renames={"rudeness": "insullt"})
    with stand_in(lambda *_: completion("no idea")) as server:
        llm, endpoint = f"llm:m@{server.url}", f"{server.url}/v1/moderations"
        for specs, options, said in (
            ([llm, "tfdif"], None, "did you mean 'tfidf'"),
            ([llm, f"{server.url}/goose"], None, "the path is '/goose'"),
            (["majority", llm], keyed, "SWAN_KEY is not set"),
        ):
            with pytest.raises(UsageError, match=said):
                evaluate(
                    trained.folder,
                    dataset,
                    tmp_path / "none",
                    settings,
                    resamples=0,
                    measurements=[against(specs, settings, options)],
                )
        assert not (tmp_path / "none").exists()
        with pytest.raises(UsageError, match="is no label of the model"):
            evaluate(
                trained.folder,
                dataset,
                tmp_path,
                settings,
                resamples=0,
                measurements=[against([llm, endpoint], settings, renamed)],
            )
        assert server.requests == []
    data = json.loads((tmp_path / "metrics.json").read_text())  # the own figures stay
    assert list(data["splits"]) == ["validation", "test"]
    assert any("a further measurement failed: 'insullt'" in note for note in data["notes"])
    assert (tmp_path / "report.html").exists()


def test_a_model_against_itself_is_no_better(trained, dataset, settings, tmp_path):
    found = evaluate(
        trained.folder,
        dataset,
        tmp_path,
        settings,
        splits=["test"],
        resamples=20,
        measurements=[against([str(trained.folder)], settings)],
    ).findings[0]
    (name,) = found.figures
    assert name == f"{trained.folder.name} (2)"
    target = found.figures[name]["test"]["targets"]["moderation"]
    assert all(label["mcnemar"]["p"] == 1.0 for label in target["labels"].values())
    assert found.figures[name]["test"]["disagreements"] == []
    assert {row[-1] for row in found.sections[1].tables[0].rows} == {""}


def test_another_artifact_is_matched_by_label(engine):
    schema = Schema(
        (
            Target.create("moderation", TargetKind.MULTI_LABEL, ("threat", "goose", "insult")),
            Target.create("tone", TargetKind.MULTI_LABEL, ("rude",)),
        )
    )
    other = ArtifactOther("other", engine, schema)
    inputs = [text_input("the silly goose went near my garden"), text_input("quiet morning")]
    found, own = other.answer(inputs), engine.calibrated(inputs).values["moderation"]
    assert found.covered["moderation"].tolist() == [True, False, True]
    assert found.covered["tone"].tolist() == [False]  # of another kind
    assert found.scores["moderation"][:, [0, 2]] == pytest.approx(own[:, [1, 0]], abs=1e-6)
    assert np.isnan(found.scores["moderation"][:, 1]).all()
    assert not found.flags["moderation"][:, 1].any()
    with pytest.raises(UsageError, match="no label in common"):
        ArtifactOther("other", engine, Schema((Target.create("else", TargetKind.MULTI_LABEL, ("x",)),)))


def test_base_rates_are_weighted_and_know_what_is_unknown(training):
    rows = dataclasses.replace(training.take(np.arange(4)), weights=np.array([1.0, 3.0, 1.0, 1.0]))
    values = np.array([[1, 0, 0], [0, np.nan, 1], [np.nan, 0, 0], [1, 0, 0]])
    rates = base_rates(MODERATION, dataclasses.replace(rows, labels={"moderation": values}))
    assert rates == pytest.approx([2 / 5, 0, 3 / 6])
    tone = np.array([[1, 0], [np.nan, 1], [0, 1], [0, 1]])
    assert base_rates(TONE, dataclasses.replace(rows, labels={"tone": tone})) == pytest.approx([1 / 3, 2 / 3])


def test_the_majority_flags_what_most_rows_have(training):
    always = dataclasses.replace(
        training,
        labels={name: np.tile([1.0, 0, 0][: v.shape[1]], (len(v), 1)) for name, v in training.labels.items()},
    )
    found = Majority(TINY_SCHEMA, always).answer([text_input("hello")] * 2)
    assert found.flags["moderation"].tolist() == [[True, False, False]] * 2
    assert found.scores["tone"].tolist() == [[1.0, 0.0]] * 2


def test_tfidf_learns_words_and_leaves_unknown_rows_out(training, dataset):
    found = Tfidf(TINY_SCHEMA, training).answer(rows_of(dataset.split("test"), TINY_SCHEMA).inputs)
    truth = rows_of(dataset.split("test"), TINY_SCHEMA).labels
    assert sk.roc_auc_score(truth["moderation"][:, 0], found.scores["moderation"][:, 0]) > 0.9
    assert sk.f1_score(truth["moderation"][:, 0], found.flags["moderation"][:, 0]) > 0.7
    assert found.scores["tone"].sum(axis=1) == pytest.approx(np.ones(len(truth["tone"])))
    again = Tfidf(TINY_SCHEMA, training).answer(rows_of(dataset.split("test"), TINY_SCHEMA).inputs)
    assert np.array_equal(found.scores["moderation"], again.scores["moderation"])
    one_class = {
        "moderation": np.tile([1.0, np.nan, 0.0], (len(training.inputs), 1)),
        "tone": training.labels["tone"],
    }
    found = Tfidf(TINY_SCHEMA, dataclasses.replace(training, labels=one_class)).answer([text_input("hello")])
    assert found.scores["moderation"].tolist() == [[1.0, 0.0, 0.0]]


def test_tfidf_takes_a_part_of_many_rows(training, monkeypatch):
    monkeypatch.setattr("modwright.pipeline.against.tfidf.MOST_ROWS", 50)
    other = Tfidf(TINY_SCHEMA, training)
    assert other.notes == (f"tfidf is fitted on 50 of the {len(training.inputs)} training rows",)


def test_baselines_need_a_training_split(trained, dataset, settings, tmp_path):
    alone = make_dataset(dataset.schema, {"test": dataset.split("test")}, {})
    with pytest.raises(UsageError, match="there are none"):
        evaluate(
            trained.folder,
            alone,
            tmp_path,
            settings,
            resamples=0,
            measurements=[against(["tfidf"], settings)],
        )


def test_an_artifact_is_told_by_its_folder(trained, settings):
    other = open_other(str(trained.folder), TINY_SCHEMA, settings, AgainstOptions())
    assert (other.name, other.remote) == (trained.folder.name, False)
    assert other.what == f"artifact {Engine.load(trained.folder, threads=1).id[:16]}"
