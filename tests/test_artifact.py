"""The artifact folder: its id is what decides an answer, and whatever was touched is refused."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from modwright.artifact import BaseIdentity, read_artifact, write_manifest
from modwright.errors import ArtifactError, NotFoundError
from modwright.schema import Schema, Target, TargetKind
from modwright.testing import MODERATION, TINY_SCHEMA, TONE

FILES = {
    "recipe.toml": "seed = 1\n",
    "model/heads.safetensors": "heads",
    "model/frozen.json": "{}",
    "tokenizer/tiny/tokenizer.json": "{}",
    "serving/tiny/encoder.onnx": "graph",
    "calibration.json": '{"targets": {}}',
    "thresholds.json": '{"operating_points": {}}',
    "metrics.json": "{}",
    "README.md": "# a card\n",
}
BASE = BaseIdentity("tiny", "a" * 64, "b" * 64, "apache-2.0")


def make(folder, files=None, **changes):
    for name, text in {**FILES, **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    stated = {
        "family": "frozen",
        "schema": TINY_SCHEMA,
        "bases": (BASE,),
        "dataset_id": "d" * 64,
        "recipe_hash": "e" * 64,
        "packages": {"numpy": "2.0"},
    }
    return write_manifest(folder, **{**stated, **changes})


@pytest.fixture
def folder(tmp_path):
    make(tmp_path / "artifact")
    return tmp_path / "artifact"


def test_what_was_written_is_read(folder):
    artifact = read_artifact(folder)
    assert set(artifact.files) == set(FILES)
    assert artifact.schema == TINY_SCHEMA
    assert artifact.bases == (BASE,)
    assert len(artifact.id) == 64


def test_the_id_follows_what_decides_an_answer_and_nothing_else(tmp_path):
    own = make(tmp_path / "one").id
    assert make(tmp_path / "elsewhere" / "deep").id == own
    other_told = {"metrics.json": "[1]", "README.md": "other", "recipe.toml": "seed = 2\n"}
    other_bytes = {"serving/tiny/encoder.onnx": "exported elsewhere", "tokenizer/tiny/tokenizer.json": "{ }"}
    for number, more in enumerate(
        [
            {"files": other_told},
            {"files": other_bytes},
            {"packages": {"numpy": "2.1"}},
            {"recipe_hash": "f" * 64},
            {"bases": (BaseIdentity("other name", "a" * 64, "b" * 64, "mit"),)},
        ]
    ):
        assert make(tmp_path / f"same{number}", **more).id == own, more
    os.utime(tmp_path / "one" / "model" / "heads.safetensors", (1, 1))
    assert read_artifact(tmp_path / "one").id == own

    turned = Target(MODERATION.name, MODERATION.kind, MODERATION.labels[::-1], MODERATION.negative_labels)
    seen = {own}
    for number, more in enumerate(
        [
            {"files": {"model/heads.safetensors": "other"}},
            {"files": {"model/frozen.json": "{ }"}},
            {"files": {"thresholds.json": "{}"}},
            {"files": {"calibration.json": "{}"}},
            {"files": {"model/more": ""}},
            {"schema": Schema((TONE, MODERATION))},
            {"schema": Schema((turned, TONE))},
            {"schema": Schema((MODERATION, Target(TONE.name, TargetKind.MULTI_LABEL, TONE.labels)))},
            {"bases": (BaseIdentity("tiny", "c" * 64, "b" * 64, "apache-2.0"),)},
            {"bases": (BaseIdentity("tiny", "a" * 64, "c" * 64, "apache-2.0"),)},
            {"bases": (BASE, BASE)},
            {"family": "encoder"},
        ]
    ):
        found = make(tmp_path / f"other{number}", **more).id
        assert found not in seen, more
        seen.add(found)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["changed", "longer", "missing", "a folder"])
def test_a_file_that_was_touched_is_named(folder, name, how):
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if how == "changed":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif how == "longer":
        path.write_bytes(content + b"\n")
    elif how == "a folder":
        path.mkdir()
    with pytest.raises(ArtifactError) as caught:
        read_artifact(folder)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["model/more.safetensors", "serving/other/encoder.onnx", "tokenizer/x"])
def test_a_file_that_is_not_listed_where_a_model_is_read_from_is_refused(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("planted")
    with pytest.raises(ArtifactError, match="does not list"):
        read_artifact(folder)


def test_a_graph_taken_off_the_list_is_noticed(folder):
    change(folder, lambda data: data["files"].pop("serving/tiny/encoder.onnx"))
    with pytest.raises(ArtifactError, match="does not list"):
        read_artifact(folder)


def change(folder, how):
    path = folder / "artifact.json"
    data = json.loads(path.read_text())
    how(data)
    path.write_text(json.dumps(data))


CHANGES = {
    "an unknown key": lambda data: data.update(extra=1),
    "an unknown key of a base": lambda data: data["bases"][0].update(extra="1"),
    "an unknown key of the schema": lambda data: data["schema"].update(extra="1"),
    "another id": lambda data: data.update(id="0" * 64),
    "no id": lambda data: data.pop("id"),
    "another version": lambda data: data.update(format_version=3),
    "a version as text": lambda data: data.update(format_version="2"),
    "another format": lambda data: data.update(format="other"),
    "another label order": lambda data: data["schema"]["targets"][0]["labels"].reverse(),
    "another target order": lambda data: data["schema"]["targets"].reverse(),
    "another family": lambda data: data.update(family="encoder"),
    "another threshold for positives": lambda data: data["schema"].update(positive_above=0.4),
    "another base": lambda data: data["bases"][0].update(weights_sha256="9" * 64),
    "no bases": lambda data: data.update(bases=[]),
    "bases that are no list": lambda data: data.update(bases=3),
    "files that are a list": lambda data: data.update(files=["README.md"]),
    "a file without hash": lambda data: data["files"].update({"README.md": None}),
    "a file more": lambda data: data["files"].update({"more": "0" * 64}),
    "a head's file dropped": lambda data: data["files"].pop("model/heads.safetensors"),
    "the calibration dropped": lambda data: data["files"].pop("calibration.json"),
    "targets that are text": lambda data: data["schema"].update(targets="moderation"),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_manifest_that_was_touched_is_refused(folder, how):
    change(folder, CHANGES[how])
    with pytest.raises(ArtifactError):
        read_artifact(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"modwright-artifact"', "[" * 100_000])
def test_a_manifest_that_is_no_manifest_is_refused(folder, text):
    (folder / "artifact.json").write_text(text)
    with pytest.raises(ArtifactError):
        read_artifact(folder)


def test_no_artifact_is_not_found(tmp_path, folder):
    with pytest.raises(NotFoundError, match="no artifact here"):
        read_artifact(tmp_path / "nowhere")
    (folder / "artifact.json").unlink()
    with pytest.raises(NotFoundError, match="no artifact here"):
        read_artifact(folder)


def test_a_moved_copy_is_the_same_artifact(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert read_artifact(tmp_path / "copy") == read_artifact(folder)
