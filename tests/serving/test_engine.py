"""The engine: calibrated scores, flags, spans, and a folder that is whole or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from modwright.artifact import BaseIdentity, write_manifest
from modwright.errors import ArtifactError, NotFoundError
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.thresholds import OperatingPoint
from modwright.files import write_json
from modwright.schema import Schema, Scores, Target, TargetKind, text_input
from modwright.serving.engine import Engine
from modwright.testing import (
    MODERATION,
    TINY_SCHEMA,
    TONE,
    WordClassifier,
    tiny_recipe,
    tiny_rows,
    tiny_texts,
)
from modwright.training.events import follow
from modwright.training.frozen import fit

POINTS = {
    "default": {"moderation": {"insult": 0.5, "threat": 0.5}, "tone": {}},
    "strict": {"moderation": {"insult": 0.05, "threat": 0.95}, "tone": {}},
}


def engine(classifier=None, points=POINTS, **more):
    classifier = classifier or WordClassifier(**more)
    return Engine(
        id="f" * 64,
        classifier=classifier,
        calibration={target.name: TargetCalibration.identity(target) for target in classifier.schema},
        operating_points={name: OperatingPoint(name, "made up", values) for name, values in points.items()},
    )


def test_labels_that_reach_their_threshold_are_flagged_and_negative_ones_never():
    insult, both, calm = engine().judge(
        [text_input(text) for text in ("you silly goose", "silly honk", "a quiet river")]
    )
    assert insult.targets["moderation"].flags == ("insult",)
    assert both.targets["moderation"].flags == ("insult", "threat")
    assert insult.targets["tone"].flags == ("rude",)
    assert calm.targets["moderation"].flags == ()
    assert calm.targets["tone"].flags == ()
    assert list(calm.targets["moderation"].scores) == ["insult", "threat", "safe"]
    assert calm.targets["moderation"].scores["safe"] == pytest.approx(0.9)
    assert calm.targets["tone"].scores["kind"] > calm.targets["tone"].scores["rude"]


def test_an_operating_point_changes_flags_and_no_score():
    (default,), (strict,) = (engine().judge([text_input("a goose")], name) for name in ("default", "strict"))
    assert default.targets["moderation"].scores == strict.targets["moderation"].scores
    (calm,) = engine().judge([text_input("a river")], "strict")
    assert calm.targets["moderation"].flags == ("insult",)
    (threat,) = engine().judge([text_input("honk")], "strict")
    assert threat.targets["moderation"].flags == ("insult",)


def test_a_score_on_the_threshold_is_flagged():
    points = {"default": {"moderation": {"insult": 0.9, "threat": np.nextafter(0.9, 1)}, "tone": {}}}
    made = engine(points=points)
    exact = made.calibrated([text_input("silly honk")]).values["moderation"][0]
    points["default"]["moderation"] = {"insult": float(exact[0]), "threat": float(np.nextafter(exact[1], 1))}
    (judged,) = engine(points=points).judge([text_input("silly honk")])
    assert judged.targets["moderation"].flags == ("insult",)


def test_an_unknown_operating_point_names_the_nearest():
    with pytest.raises(NotFoundError, match="unknown operating point 'stric'") as caught:
        engine().judge([text_input("x")], "stric")
    assert caught.value.remedy == "did you mean 'strict'?"
    with pytest.raises(NotFoundError):
        engine().judge([], "stric")


def test_no_inputs_have_no_judgements():
    assert engine().judge([]) == []


def test_the_span_is_the_window_that_decided():
    text = "river " * 30 + "goose " + "table " * 30
    (judged,) = engine(window_chars=60).judge([text_input(text)])
    assert judged.windows == -(-len(text) // 60)
    begin, end = judged.targets["moderation"].span
    assert "goose" in text[begin:end]
    assert end - begin <= 60
    assert judged.span == (begin, end)


class Fixed:
    """Scores and spans as given, for one input."""

    def __init__(self, schema, values, spans):
        self.schema, self.values, self.spans = schema, values, spans

    def predict_proba(self, inputs):
        values = {name: np.array([row]) for name, row in self.values.items()}
        spans = {name: np.array([row]) for name, row in self.spans.items()}
        return Scores(values, np.array([9]), spans)


def test_the_span_overall_is_of_the_label_furthest_above_its_threshold():
    spans = {"moderation": [(0, 1), (1, 2), (2, 3)], "tone": [(3, 4), (4, 5)]}
    for values, expected, own in (
        ({"moderation": [0.6, 0.9, 0.99], "tone": [0.4, 0.6]}, (1, 2), (1, 2)),
        ({"moderation": [0.6, 0.4, 0.99], "tone": [0.1, 0.9]}, (4, 5), (0, 1)),
        ({"moderation": [0.3, 0.2, 0.99], "tone": [0.99, 0.01]}, (0, 1), (0, 1)),
    ):
        (judged,) = engine(Fixed(TINY_SCHEMA, values, spans)).judge([text_input("x")])
        assert judged.span == expected
        assert judged.targets["moderation"].span == own
        assert judged.targets["tone"].span == (4, 5)
        assert judged.windows == 9


def test_scores_are_calibrated_before_thresholds():
    target = Target.create("t", TargetKind.MULTI_LABEL, ["a"])
    made = Engine(
        id="f" * 64,
        classifier=Fixed(Schema((target,)), {"t": [0.5]}, {"t": [(0, 1)]}),
        calibration={"t": replace(TargetCalibration.identity(target), intercepts=(2.0,))},
        operating_points={"default": OperatingPoint("default", "", {"t": {"a": 0.8}})},
    )
    (judged,) = made.judge([text_input("x")])
    assert judged.targets["t"].scores["a"] == pytest.approx(1 / (1 + np.exp(-2)))
    assert judged.targets["t"].flags == ("a",)


@pytest.fixture(scope="module")
def fitted(tiny_base):
    return follow(fit(tiny_recipe(), TINY_SCHEMA, tiny_rows(), [tiny_base]), lambda event: None)


def saved(folder, fitted, calibration=None, thresholds=None):
    fitted.classifier.save(folder)
    if calibration is None:
        targets = {name: item.to_json() for name, item in fitted.calibration.items()}
        calibration = {"targets": targets, "decided_on": None}
    if thresholds is None:
        thresholds = {"operating_points": {"default": fitted.operating_point.to_json()}, "review": None}
    write_json(folder / "calibration.json", calibration)
    write_json(folder / "thresholds.json", thresholds)
    write_manifest(
        folder,
        family="frozen",
        schema=TINY_SCHEMA,
        bases=(BaseIdentity("tiny", "a" * 64, "b" * 64, "none"),),
        dataset_id="d" * 64,
        recipe_hash="e" * 64,
        packages={},
    )
    return folder


def test_a_folder_judges_as_the_fit_it_came_from(fitted, tmp_path):
    loaded = Engine.load(saved(tmp_path, fitted), threads=1)
    inputs = [text_input(text) for text in tiny_texts(40, seed=8)]
    raw = fitted.classifier.predict_proba(inputs)
    scores = loaded.calibrated(inputs)
    for name, values in raw.values.items():
        assert np.abs(scores.values[name] - fitted.calibration[name].apply(values)).max() < 1e-6
    flagged = [judged.targets["moderation"].flags for judged in loaded.judge(inputs)]
    assert any(flagged)
    assert not all(flagged)
    assert len(loaded.id) == 64


def test_a_folder_that_is_none_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        Engine.load(tmp_path)


def good_calibration():
    targets = {target.name: TargetCalibration.identity(target).to_json() for target in TINY_SCHEMA}
    return {"targets": targets, "decided_on": None}


def good_thresholds():
    point = OperatingPoint("default", "", POINTS["default"])
    return {"operating_points": {"default": point.to_json()}, "review": None}


@pytest.mark.parametrize(
    "how",
    [
        lambda data: data.pop("targets"),
        lambda data: data.update(more=1),
        lambda data: data.update(targets=[]),
        lambda data: data.update(targets=None),
        lambda data: data["targets"].pop("tone"),
        lambda data: data["targets"].update(tune={}),
        lambda data: data["targets"].update(tone=3),
        lambda data: data["targets"]["tone"].pop("slopes"),
        lambda data: data["targets"]["tone"].update(slopes=[0.0]),
        lambda data: data["targets"]["moderation"].update(labels=["threat", "insult", "safe"]),
        lambda data: data["targets"]["moderation"].update(methods=["platt"]),
    ],
)
def test_malformed_calibration_is_an_artifact_error(fitted, tmp_path, how):
    data = good_calibration()
    saved(tmp_path / "good", fitted, data, good_thresholds())
    Engine.load(tmp_path / "good")
    how(data)
    with pytest.raises(ArtifactError, match=r"calibration\.json") as caught:
        Engine.load(saved(tmp_path / "bad", fitted, data, good_thresholds()))
    assert caught.value.status == 500


@pytest.mark.parametrize(
    "how",
    [
        lambda data: data.pop("operating_points"),
        lambda data: data.update(more=1),
        lambda data: data.update(operating_points=[]),
        lambda data: data.update(operating_points={}),
        lambda data: data["operating_points"].update(default=None),
        lambda data: data["operating_points"]["default"].pop("thresholds"),
        lambda data: data["operating_points"]["default"]["thresholds"].pop("tone"),
        lambda data: data["operating_points"]["default"]["thresholds"]["moderation"].pop("insult"),
        lambda data: data["operating_points"]["default"]["thresholds"]["moderation"].update(safe=0.5),
        lambda data: data["operating_points"]["default"]["thresholds"]["moderation"].update(insult="high"),
        lambda data: data["operating_points"]["default"]["thresholds"].update(tune={}),
        lambda data: data["operating_points"].update(other=data["operating_points"].pop("default")),
    ],
)
def test_malformed_thresholds_are_an_artifact_error(fitted, tmp_path, how):
    data = good_thresholds()
    how(data)
    with pytest.raises(ArtifactError, match=r"thresholds\.json"):
        Engine.load(saved(tmp_path, fitted, good_calibration(), data))


def test_files_that_are_no_json_are_an_artifact_error(fitted, tmp_path):
    for number, value in enumerate((json.loads("[]"), "text", 3)):
        with pytest.raises(ArtifactError):
            Engine.load(saved(tmp_path / str(number), fitted, value, good_thresholds()))


def test_labels_are_the_schemas(fitted):
    assert MODERATION.labels == ("insult", "threat", "safe")
    assert TONE.negative_labels == ("kind",)
