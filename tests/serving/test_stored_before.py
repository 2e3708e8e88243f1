"""An artifact of format 1 answers as it did: its calibration and thresholds, and nothing that it had not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.artifact import BaseIdentity, read_artifact, write_manifest
from modwright.errors import ArtifactError
from modwright.evaluation.calibration import logit, sigmoid, softmax
from modwright.files import write_json
from modwright.serving.stored_decisions import read_calibration, read_operating_points, read_review
from modwright.testing import TINY_SCHEMA


def before(folder, **changes):
    """A folder as format 1 wrote it."""
    platt = {
        "method": "platt",
        "labels": ["insult", "threat", "safe"],
        "slopes": [2.0, 0.5, 1.0],
        "intercepts": [-1.0, 0.0, 0.0],
    }
    single = {"method": "temperature", "labels": ["kind", "rude"], "slopes": [0.5], "intercepts": [0.1, -0.1]}
    point = {
        "objective": "best F1 out of fold",
        "thresholds": {"moderation": {"insult": 0.4, "threat": 0.6}, "tone": {}},
        "shared": {"moderation": ["threat"]},
    }
    write_json(folder / "calibration.json", {"targets": {"moderation": platt, "tone": single}})
    write_json(folder / "thresholds.json", {"operating_points": {"default": point}, **changes})
    write_manifest(
        folder,
        family="frozen",
        schema=TINY_SCHEMA,
        bases=(BaseIdentity("tiny", "a" * 64, "b" * 64, "none"),),
        dataset_id="d" * 64,
        recipe_hash="e" * 64,
        packages={},
    )
    manifest = json.loads((folder / "artifact.json").read_text())
    write_json(folder / "artifact.json", {**manifest, "format_version": 1})
    return folder


def test_it_is_read_as_it_was_meant(tmp_path):
    folder = before(tmp_path)
    schema = read_artifact(folder).schema
    calibration, decided_on = read_calibration(folder, schema)
    assert decided_on is None
    p = np.array([[0.3, 0.7], [0.9, 0.1]])
    moderation = calibration["moderation"].apply(np.column_stack([p, p[:, 0]]))
    expected = sigmoid(np.array([2.0, 0.5]) * logit(p) + np.array([-1.0, 0.0]))
    assert moderation == pytest.approx(np.column_stack([expected, p[:, 0]]))
    tone = calibration["tone"].apply(p)
    assert tone == pytest.approx(softmax(0.5 * np.log(p) + np.array([0.1, -0.1])))
    (point,) = read_operating_points(folder, schema).values()
    assert point.thresholds == {"moderation": {"insult": 0.4, "threat": 0.6}, "tone": {}}
    assert point.shared == {"moderation": ("threat",)}
    assert (point.aim, point.found, point.prevalence) == (None, {}, {})
    assert read_review(folder, schema) is None


def test_one_of_another_form_is_refused_with_its_place(tmp_path):
    folder = before(tmp_path, review=None)
    with pytest.raises(ArtifactError, match=r"thresholds\.json.*unknown key 'review'"):
        read_operating_points(folder, TINY_SCHEMA)


@pytest.mark.parametrize("version", [0, 3, True, "1", None])
def test_another_version_is_refused_with_its_place(tmp_path, version):
    folder = before(tmp_path)
    manifest = json.loads((folder / "artifact.json").read_text())
    write_json(folder / "artifact.json", {**manifest, "format_version": version})
    with pytest.raises(ArtifactError, match="reads 1 and 2") as caught:
        read_artifact(folder)
    assert caught.value.where == str(folder)
