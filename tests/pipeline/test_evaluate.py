"""metrics.json and report.html: their shape, their figures against scikit-learn, and data that does not fit."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from sklearn import metrics as sk

from modwright.artifact import read_artifact
from modwright.data.columnar import pl
from modwright.data.dataset import make_dataset
from modwright.errors import ArtifactError, DataError, NotFoundError, SchemaError, UsageError
from modwright.evaluation.metrics import Metric
from modwright.evaluation.sections import Section
from modwright.pipeline.evaluate import Finding, evaluate
from modwright.pipeline.rows import aligned_rows
from modwright.schema import Schema, Target, TargetKind
from modwright.settings import Settings
from modwright.testing import MODERATION, TINY_SCHEMA, TONE

METRICS = {"f1", "precision", "recall", "roc_auc", "average_precision", "brier", "log_loss", "ece"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture(scope="module")
def evaluated(trained, dataset, settings, tmp_path_factory):
    """An evaluation of every split but train, and its metrics.json."""
    result = evaluate(trained.folder, dataset, tmp_path_factory.mktemp("evaluation") / "new", settings)
    return result, json.loads(result.metrics.read_text(), parse_constant=pytest.fail)


def relabelled(dataset, schema, columns):
    """Return the dataset's texts under another schema; `columns` maps the new names to old ones or values."""
    splits = {}
    for name, frame in dataset.splits.items():
        new = [
            (frame[old] if isinstance(old, str) else pl.Series([old] * len(frame), dtype=pl.Float64)).alias(
                column
            )
            for column, old in columns.items()
        ]
        splits[name] = frame.select("id", "text", "messages", "weight", "group", "source").with_columns(new)
    return make_dataset(schema, splits, {})


def read(result):
    return json.loads(result.metrics.read_text(), parse_constant=pytest.fail)


def test_the_shape_of_the_metrics(evaluated, trained):
    _, data = evaluated
    assert set(data["splits"]) == {"validation", "test"}
    for split in data["splits"].values():
        assert {target: list(labels) for target, labels in split.items()} == {
            "moderation": ["insult", "threat", "safe"],
            "tone": ["kind", "rude"],
        }
        for labels in split.values():
            for found in labels.values():
                assert set(found) - {Metric.PREVALENCE} == METRICS
                for interval in found.values():
                    assert list(interval) == ["value", "low", "high", "n"]
                    assert interval["n"] == 40
    assert data["artifact"] == trained.artifact.id
    assert data["notes"] == []


def test_the_figures_are_those_of_scikit_learn(evaluated, engine, dataset):
    _, data = evaluated
    rows = aligned_rows(dataset.splits["test"], dataset.schema, TINY_SCHEMA).rows
    scores = engine.calibrated(rows.inputs).values["moderation"]
    point = engine.operating_point("default").thresholds["moderation"]
    for label in ("insult", "threat"):
        place = MODERATION.index(label)
        truth, score = rows.labels["moderation"][:, place], scores[:, place]
        flagged = score >= point[label]
        expected = {
            "f1": sk.f1_score(truth, flagged),
            "precision": sk.precision_score(truth, flagged),
            "recall": sk.recall_score(truth, flagged),
            "roc_auc": sk.roc_auc_score(truth, score),
            "average_precision": sk.average_precision_score(truth, score),
            "brier": sk.brier_score_loss(truth, score),
            "log_loss": sk.log_loss(truth, score),
        }
        found = data["splits"]["test"]["moderation"][label]
        assert {name: found[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-6)
        assert found["f1"]["low"] <= found["f1"]["value"] <= found["f1"]["high"]
    tone = engine.calibrated(rows.inputs).values["tone"]
    rude, chosen = rows.labels["tone"][:, 1], tone.argmax(axis=1)
    found = data["splits"]["test"]["tone"]["rude"]
    assert found["f1"]["value"] == pytest.approx(sk.f1_score(rude, chosen == 1))
    assert found["roc_auc"]["value"] == pytest.approx(sk.roc_auc_score(rude, tone[:, 1]))


def test_a_label_that_is_never_flagged_has_no_f1(evaluated):
    _, data = evaluated
    assert data["splits"]["test"]["moderation"]["safe"]["f1"]["value"] is None
    assert data["splits"]["test"]["moderation"]["safe"]["roc_auc"]["value"] > 0.5


def test_training_and_evaluating_agree(evaluated, trained):
    _, data = evaluated
    own = json.loads((trained.folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert own["splits"]["test"] == data["splits"]["test"]
    assert set(own["splits"]) == {"out_of_fold", "validation", "test"}


def test_the_report_needs_nothing_else(evaluated):
    result, _ = evaluated
    html = result.report.read_text()
    assert not re.search(r"<(link|iframe|object|embed)\b", html, re.IGNORECASE)
    assert not re.search(r"(src|href)\s*=\s*[\"']?(?![\"'#]|data:)", html, re.IGNORECASE)
    assert "@import" not in html
    assert not re.search(r"url\((?![\"']?(#|data:))", html)
    for label in ("insult", "threat", "rude"):
        assert label in html
    assert [path.name for path in result.files] == ["metrics.json", "report.html", "report.json", "report.md"]
    assert {path.name for path in result.report.parent.iterdir()} == {path.name for path in result.files}


def test_the_same_again_gives_the_same_bytes(evaluated, trained, dataset, settings, tmp_path):
    first, _ = evaluated
    again = evaluate(trained.folder, dataset, tmp_path, settings)
    for one, other in zip(again.files, first.files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_labels_in_another_order(evaluated, trained, dataset, settings, tmp_path):
    _, data = evaluated
    moderation = Target.create("moderation", TargetKind.MULTI_LABEL, ("safe", "threat", "insult"))
    tone = Target.create("tone", TargetKind.SINGLE_LABEL, ("rude", "kind"), negative=("kind",))
    schema = Schema((tone, moderation))
    names = [f"{target.name}/{label}" for target in schema for label in target.labels]
    other = relabelled(dataset, schema, {name: name for name in names})
    assert read(evaluate(trained.folder, other, tmp_path, settings))["splits"] == data["splits"]


def test_missing_and_foreign_labels(evaluated, trained, dataset, settings, tmp_path):
    _, data = evaluated
    moderation = Target.create("moderation", TargetKind.MULTI_LABEL, ("insult", "spam"))
    columns = {"moderation/insult": "moderation/insult", "moderation/spam": 0.0}
    other = relabelled(dataset, Schema((moderation,)), columns)
    result = evaluate(trained.folder, other, tmp_path, settings, splits=["test"])
    found = read(result)
    assert result.notes == (
        "test: the model has no labels moderation/spam; they were left out",
        "test: nothing is known of the model's labels moderation/threat, moderation/safe",
    )
    assert found["notes"] == list(result.notes)
    assert "moderation/spam" in result.report.read_text()
    assert "spam" not in found["splits"]["test"]["moderation"]
    both = (found["splits"]["test"]["moderation"]["insult"], data["splits"]["test"]["moderation"]["insult"])
    assert both[0]["f1"]["value"] == both[1]["f1"]["value"]
    for label in ("threat", "safe"):
        assert all(
            interval == {"value": None, "low": None, "high": None, "n": 0}
            for interval in found["splits"]["test"]["moderation"][label].values()
        )
    assert found["splits"]["test"]["tone"]["rude"]["f1"]["n"] == 0


def test_no_common_target_or_another_kind(trained, dataset, settings, tmp_path):
    stranger = Target.create("weather", TargetKind.MULTI_LABEL, ("rain",))
    other = relabelled(dataset, Schema((stranger,)), {"weather/rain": 1.0})
    with pytest.raises(SchemaError, match="targets weather, the model moderation, tone") as caught:
        evaluate(trained.folder, other, tmp_path / "a", settings)
    assert "--target" in caught.value.remedy
    kind = Target.create("moderation", TargetKind.SINGLE_LABEL, ("insult", "safe"))
    columns = {"moderation/insult": "tone/rude", "moderation/safe": "tone/kind"}
    with pytest.raises(SchemaError, match="single_label in the dataset and multi_label"):
        evaluate(trained.folder, relabelled(dataset, Schema((kind,)), columns), tmp_path / "a", settings)
    assert not (tmp_path / "a").exists()


def test_training_rows_prove_nothing(trained, dataset, settings, tmp_path):
    result = evaluate(trained.folder, dataset, tmp_path, settings, splits=["train"], resamples=0)
    assert "prove nothing" in result.notes[0]
    assert "prove nothing" in result.report.read_text()
    assert list(read(result)["splits"]) == ["train"]
    assert result.evaluations["train"].resamples == 0
    only = make_dataset(dataset.schema, {"train": dataset.splits["train"]}, {})
    assert list(evaluate(trained.folder, only, tmp_path, settings, resamples=0).evaluations) == ["train"]


def test_splits_that_are_not_there(trained, dataset, settings, tmp_path):
    with pytest.raises(NotFoundError, match="no split 'tets'") as caught:
        evaluate(trained.folder, dataset, tmp_path / "a", settings, splits=["tets"])
    assert "test" in caught.value.remedy
    empty = make_dataset(dataset.schema, {"test": dataset.splits["test"].head(0)}, {})
    with pytest.raises(DataError, match="'test' has no rows"):
        evaluate(trained.folder, empty, tmp_path / "a", settings)
    assert not (tmp_path / "a").exists()


def test_it_does_not_write_into_an_artifact_or_over_a_file(artifact_copy, dataset, settings, tmp_path):
    with pytest.raises(UsageError, match="artifact"):
        evaluate(artifact_copy, dataset, artifact_copy, settings)
    read_artifact(artifact_copy)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        evaluate(artifact_copy, dataset, tmp_path / "file", settings)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_damaged_artifact_is_refused(artifact_copy, dataset, settings, tmp_path):
    (artifact_copy / "thresholds.json").write_text("{}")
    with pytest.raises(ArtifactError, match="sha256"):
        evaluate(artifact_copy, dataset, tmp_path / "a", settings)
    with pytest.raises(NotFoundError, match="no artifact here"):
        evaluate(tmp_path, dataset, tmp_path / "a", settings)


def test_progress_counts_the_rows(trained, dataset, settings, tmp_path):
    told = []
    evaluate(
        trained.folder, dataset, tmp_path, settings, resamples=0, progress=lambda *seen: told.append(seen)
    )
    assert told == [("validation", 40, 40), ("test", 40, 40)]


def test_unknown_labels_are_left_out_row_by_row(trained, dataset, engine, settings, tmp_path):
    frame = dataset.splits["test"]
    half = [None if row % 2 else value for row, value in enumerate(frame["moderation/insult"])]
    other = make_dataset(
        dataset.schema,
        {"test": frame.with_columns(pl.Series("moderation/insult", half, dtype=pl.Float64))},
        {},
    )
    found = read(evaluate(trained.folder, other, tmp_path, settings, resamples=0))["splits"]["test"]
    rows = aligned_rows(frame, dataset.schema, TINY_SCHEMA).rows
    score = engine.calibrated(rows.inputs).values["moderation"][::2, 0]
    truth = rows.labels["moderation"][::2, 0]
    assert found["moderation"]["insult"]["roc_auc"]["value"] == pytest.approx(sk.roc_auc_score(truth, score))
    assert found["moderation"]["insult"]["roc_auc"]["n"] == len(np.atleast_1d(truth)) == 20
    assert found["tone"][TONE.labels[1]]["roc_auc"]["n"] == 40


def test_a_fault_in_a_measurement_does_not_take_the_figures_with_it(trained, dataset, settings, tmp_path):
    def fail(_):
        raise ZeroDivisionError("goose")

    measurements = [fail, lambda _: Finding("first", {"n": 1})]
    with pytest.raises(ZeroDivisionError):
        evaluate(
            trained.folder,
            dataset,
            tmp_path,
            settings,
            splits=["test"],
            resamples=0,
            measurements=measurements,
        )
    data = json.loads((tmp_path / "metrics.json").read_text())
    assert (set(data["splits"]), data["first"]) == ({"test"}, {"n": 1})
    assert (tmp_path / "report.html").exists()


def test_a_measurement_sees_the_scored_splits_and_its_figures_stand_beside(
    trained, dataset, settings, tmp_path
):
    seen = []

    def measure_more(proof):
        seen.append(proof)
        told = Section("more", "Something more", "How many rows.")
        return Finding("more", {"rows": len(proof.splits["test"])}, [told], notes=("looked twice",))

    frames = {"test": dataset.splits["test"].with_columns(pl.Series("age", range(40)))}
    other = make_dataset(dataset.schema, frames, {})
    result = evaluate(trained.folder, other, tmp_path, settings, resamples=0, measurements=[measure_more])
    assert read(result)["more"] == {"rows": 40}
    assert result.notes == ("looked twice",)
    data = json.loads(result.files[2].read_text())
    assert data["sections"]["more"]["title"] == "Something more"
    for path in result.files[1:]:
        assert "Something more" in path.read_text()
    split = seen[0].splits["test"]
    assert set(split.columns) == {"source", "age"}
    assert split.column("age") == list(range(40))
    assert split.ids == frames["test"]["id"].to_list()


def test_what_training_knows_is_not_scored_again(trained, dataset, settings, tmp_path):
    told = []
    result = evaluate(
        trained.folder,
        dataset,
        tmp_path,
        settings,
        known=trained.known,
        progress=lambda *seen: told.append(seen),
    )
    assert told == []
    assert result.evaluations["test"] is trained.known["test"].evaluation


def test_the_report_knows_every_operating_point_and_band_and_no_text_if_none_is_wanted(
    trained, dataset, engine, settings, tmp_path
):
    result = evaluate(trained.folder, dataset, tmp_path, settings, splits=["test"], resamples=0, errors=0)
    data = json.loads(result.files[2].read_text())
    insult = next(one for one in data["explorers"] if one["label"] == "insult")
    assert set(insult["points"]) == set(engine.operating_points) == set(data["operating_points"])
    assert data["errors"] == []
    html = result.report.read_text()
    for text in dataset.splits["test"]["text"].to_list():
        assert text not in html
