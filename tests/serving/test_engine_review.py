"""The review band at serving: verdicts beside flags, the same at every operating point, and files that hold it."""

from __future__ import annotations

import json

import pytest

from modwright.artifact import BaseIdentity, write_manifest
from modwright.errors import ArtifactError
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.review import LabelBand, Promise, ReviewBand
from modwright.evaluation.thresholds import OperatingPoint
from modwright.files import write_json
from modwright.schema import text_input
from modwright.serving.engine import Engine
from modwright.serving.stored_decisions import read_operating_points, read_review
from modwright.testing import TINY_SCHEMA, WordClassifier


def label_band(low, high=None, note=""):
    return LabelBand(low, low if high is None else high, note, 50, 50, None)


def review_band():
    moderation = {"insult": label_band(0.2, 0.6), "threat": label_band(0.0, 0.6, "4 with the label")}
    tone = {"kind": label_band(0.3), "rude": label_band(0.3)}
    return ReviewBand(
        Promise(0.05, 0.05), {"moderation": moderation, "tone": tone}, {"moderation": None, "tone": None}, {}
    )


def engine(review):
    points = {"default": {"insult": 0.5, "threat": 0.5}, "strict": {"insult": 0.99, "threat": 0.99}}
    return Engine(
        id="f" * 64,
        classifier=WordClassifier(),
        calibration={target.name: TargetCalibration.identity(target) for target in TINY_SCHEMA},
        operating_points={
            name: OperatingPoint(name, "made up", {"moderation": values, "tone": {}})
            for name, values in points.items()
        },
        review=review,
    )


def test_every_target_gets_a_verdict_and_every_label_that_says_something():
    rude, calm = engine(review_band()).judge([text_input("you silly goose"), text_input("a quiet river")])
    assert (rude.targets["moderation"].review, calm.targets["moderation"].review) == ("act", "pass")
    assert rude.targets["moderation"].review_by_label == {"insult": "act"}
    assert calm.targets["moderation"].review_by_label == {"insult": "pass"}
    assert (rude.targets["tone"].review, calm.targets["tone"].review) == ("act", "pass")


def test_the_verdict_does_not_depend_on_the_operating_point():
    made, inputs = engine(review_band()), [text_input("you silly goose")]
    (default,), (strict,) = made.judge(inputs), made.judge(inputs, "strict")
    assert default.targets["moderation"].flags != strict.targets["moderation"].flags
    assert default.targets["moderation"].review == strict.targets["moderation"].review


def test_what_is_flagged_without_a_promise_goes_to_a_person_at_any_operating_point():
    """The default threshold counts, whichever is asked for."""
    band = review_band()
    band.bands["moderation"]["insult"] = label_band(0.0, 2.0, "4 with the label")
    made, inputs = engine(band), [text_input("you silly goose"), text_input("a quiet river")]
    for point in ("default", "strict"):
        rude, calm = made.judge(inputs, point)
        assert rude.targets["moderation"].scores["insult"] >= 0.5
        assert rude.targets["moderation"].review == "review"
        assert rude.targets["moderation"].review_by_label == {"insult": "review"}
        assert calm.targets["moderation"].review_by_label == {}


def test_without_a_band_nothing_is_said():
    (judged,) = engine(None).judge([text_input("goose")])
    assert judged.targets["moderation"].review is None
    assert judged.targets["moderation"].review_by_label == {}


def stored(folder, change=lambda data: None):
    point = OperatingPoint("default", "", {"moderation": {"insult": 0.5, "threat": 0.5}, "tone": {}})
    data = {"operating_points": {"default": point.to_json()}, "review": review_band().to_json()}
    change(data)
    folder.mkdir(exist_ok=True)
    write_json(folder / "thresholds.json", json.loads(json.dumps(data)))
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


def test_the_band_is_read_as_it_was_written(tmp_path):
    assert read_review(stored(tmp_path), TINY_SCHEMA) == review_band()


def test_an_artifact_may_have_no_band(tmp_path):
    folder = stored(tmp_path, lambda data: data.update(review=None))
    assert read_review(folder, TINY_SCHEMA) is None
    assert list(read_operating_points(folder, TINY_SCHEMA)) == ["default"]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("review"),
        lambda data: data.update(review=[]),
        lambda data: data["review"].pop("promise"),
        lambda data: data["review"]["bands"].pop("tone"),
        lambda data: data["review"]["bands"]["moderation"].pop("insult"),
        lambda data: data["review"]["bands"]["moderation"].update(safe=label_band(0.5).to_json()),
        lambda data: data["review"]["bands"]["moderation"]["insult"].update(low=0.9),
        lambda data: data["review"]["bands"]["tone"].pop("kind"),
        lambda data: data["review"].update(bands=3),
    ],
)
def test_a_malformed_band_is_an_artifact_error(tmp_path, change):
    with pytest.raises(ArtifactError, match=r"thresholds\.json"):
        read_review(stored(tmp_path, change), TINY_SCHEMA)
