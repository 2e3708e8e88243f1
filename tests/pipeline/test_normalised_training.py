"""A model that was trained behind a normaliser serves behind the same one, from its artifact alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.artifact import read_artifact
from modwright.errors import ArtifactError
from modwright.models import registry
from modwright.models.normalised import NormalisedClassifier
from modwright.pipeline.train import train
from modwright.schema import text_input
from modwright.serving.engine import Engine
from modwright.testing import WordClassifier, tiny_recipe

STEPS = 'normalise.steps=["invisible", "lookalikes", "spacing"]'
PAIRS = [("the silly goose", "the s i l l y gооsе"), ("a quiet river", "a qu\u200biet river")]


@pytest.fixture(scope="module")
def normalising(tmp_path_factory, new_home, tiny_base_folder, dataset):
    """A finished run with three steps; tests only read its folder."""
    root = tmp_path_factory.mktemp("normalising")
    recipe = tiny_recipe(tiny_base_folder, STEPS)
    return train(recipe, dataset, root / "model", new_home(root / "home"), on_event=lambda _: None)


def test_the_artifact_holds_its_normaliser(normalising, trained):
    artifact = read_artifact(normalising.folder)
    path = normalising.folder / "model" / "normalise.json"
    assert "model/normalise.json" in artifact.files
    assert json.loads(path.read_text())["steps"] == ["invisible", "lookalikes", "spacing"]
    assert artifact.id != trained.artifact.id


def test_a_disguised_text_scores_as_the_plain_one(normalising, trained):
    plain, disguised = ([text_input(text) for text in side] for side in zip(*PAIRS, strict=True))
    with_it, without = (Engine.load(one.folder, threads=1) for one in (normalising, trained))
    for name in with_it.schema.names:
        found, expected = with_it.calibrated(disguised).values[name], with_it.calibrated(plain).values[name]
        assert np.abs(found - expected).max() < 1e-6
    moved = (
        without.calibrated(disguised).values["moderation"] - without.calibrated(plain).values["moderation"]
    )
    assert np.abs(moved).max() > 0.05


def test_judged_spans_lie_in_the_text_as_it_came(normalising):
    engine = Engine.load(normalising.folder, threads=1)
    texts = [text for pair in PAIRS for text in pair]
    for text, judgement in zip(texts, engine.judge([text_input(text) for text in texts]), strict=True):
        assert judgement.span == (0, len(text))


def test_a_changed_normaliser_is_another_artifact(normalising, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(normalising.folder, copy)
    path = copy / "model" / "normalise.json"
    path.write_text(path.read_text().replace("spacing", "repeats"))
    with pytest.raises(ArtifactError):
        Engine.load(copy)


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_any_family_is_loaded_behind_it(normalising, monkeypatch, family):
    monkeypatch.setattr(registry, "_of_family", lambda *arguments: WordClassifier())
    artifact = read_artifact(normalising.folder)
    found = registry.load_classifier(normalising.folder, artifact)
    assert isinstance(found, NormalisedClassifier)
    assert found.predict_proba([text_input("gооsе")]).values["moderation"][0, 0] == pytest.approx(0.9)
