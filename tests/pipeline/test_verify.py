"""A model whose reload gives other scores is never saved."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from modwright import artifact as layout
from modwright.errors import IntegrityError
from modwright.files import file_hashes, write_json
from modwright.models.frozen import FrozenClassifier
from modwright.pipeline.train import train
from modwright.pipeline.verify import TOLERANCE, drift, main, verify_reload
from modwright.schema import pair_input, text_input

INPUTS = [
    text_input("silly goose"),
    text_input("my garden"),
    text_input(""),
    text_input("the garden " * 60 + "donkey"),
    pair_input("walk near the river", "silly goose again"),
]


def sign_again(folder):
    """Make the manifest fit what the folder holds, so that nothing but the scores can tell."""
    made = layout.Artifact.from_json(json.loads((folder / layout.MANIFEST).read_text()))
    layout.write_manifest(
        folder,
        family=made.family,
        schema=made.schema,
        bases=made.bases,
        dataset_id=made.dataset_id,
        recipe_hash=made.recipe_hash,
        packages=made.packages,
    )


def damage_heads(folder, by=0.1):
    path = folder / "model" / "heads.safetensors"
    tensors = dict(load_file(path))
    tensors["moderation.bias"] = tensors["moderation.bias"] + by
    save_file(tensors, path)


def test_an_honest_artifact_passes(trained, engine):
    verify_reload(trained.folder, engine, INPUTS)


def test_a_changed_file_is_refused(artifact_copy, engine):
    damage_heads(artifact_copy)
    with pytest.raises(IntegrityError, match="sha256") as caught:
        verify_reload(artifact_copy, engine, INPUTS)
    assert caught.value.where == str(artifact_copy)


def test_other_heads_under_a_fitting_manifest_are_refused(artifact_copy, engine):
    damage_heads(artifact_copy)
    sign_again(artifact_copy)
    with pytest.raises(IntegrityError, match="a score differs by"):
        verify_reload(artifact_copy, engine, INPUTS)


def test_a_small_drift_is_measured(artifact_copy, engine, tmp_path):
    scores = {name: values.tolist() for name, values in engine.calibrated(INPUTS).values.items()}
    inputs = [[[message.role, message.content] for message in value] for value in INPUTS]
    write_json(tmp_path / "probe.json", {"inputs": inputs, "scores": scores})
    assert drift(artifact_copy, tmp_path / "probe.json") < 1e-6
    scores["tone"][1][0] += 3 * TOLERANCE
    write_json(tmp_path / "probe.json", {"inputs": inputs, "scores": scores})
    assert drift(artifact_copy, tmp_path / "probe.json") == pytest.approx(3 * TOLERANCE, abs=1e-6)


def test_a_score_that_is_no_number_is_refused(artifact_copy, engine):
    class Odd:
        def calibrated(self, inputs):
            scores = engine.calibrated(inputs)
            scores.values["tone"][0, 0] = np.inf
            return scores

    with pytest.raises((IntegrityError, ValueError)):
        verify_reload(artifact_copy, Odd(), INPUTS)


def test_the_reload_needs_no_torch(trained, tmp_path):
    script = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'onnx', 'polars'): sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from modwright.serving.engine import Engine\n"
        "from modwright.schema import text_input\n"
        "import modwright.pipeline.verify\n"
        f"print(Engine.load(Path({str(trained.folder)!r}), threads=1).judge([text_input('silly goose')]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "insult" in done.stdout


@pytest.mark.parametrize("part", ["heads", "graph"])
def test_training_that_saves_something_else_leaves_nothing(
    part, new_home, recipe, dataset, tmp_path, monkeypatch, trained
):
    save = FrozenClassifier.save

    def faulty(self, folder):
        save(self, folder)
        if part == "heads":
            damage_heads(folder)
        else:
            graph = folder / "serving" / "tiny" / "encoder.onnx"
            content = graph.read_bytes()
            graph.unlink()  # it may be a link into the cache
            middle = len(content) // 2
            graph.write_bytes(content[:middle] + bytes(400) + content[middle + 400 :])

    settings = new_home(tmp_path / "home")
    monkeypatch.setattr(FrozenClassifier, "save", faulty)
    with pytest.raises(IntegrityError, match="fresh process"):
        train(recipe, dataset, tmp_path / "out" / "model", settings, on_event=lambda event: None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model-run"]
    monkeypatch.undo()
    made = train(recipe, dataset, tmp_path / "out" / "model", settings, on_event=lambda event: None)
    assert made.artifact.id == trained.artifact.id
    assert file_hashes(made.folder) == file_hashes(trained.folder)


def test_drift_is_no_number_where_a_score_is_none(artifact_copy, engine, tmp_path, monkeypatch):
    class Odd:
        @staticmethod
        def load(folder, *, threads):
            return Odd()

        def calibrated(self, inputs):
            found = engine.calibrated(inputs)
            return dataclasses.replace(found, values={name: v * np.nan for name, v in found.values.items()})

    scores = {name: values.tolist() for name, values in engine.calibrated(INPUTS).values.items()}
    inputs = [[[message.role, message.content] for message in value] for value in INPUTS]
    write_json(tmp_path / "probe.json", {"inputs": inputs, "scores": scores})
    monkeypatch.setattr("modwright.pipeline.verify.Engine", Odd)
    assert np.isnan(drift(artifact_copy, tmp_path / "probe.json"))
    assert main([str(artifact_copy), str(tmp_path / "probe.json")]) == 1
