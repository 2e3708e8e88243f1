"""The canonical description of a job."""

import dataclasses
import json

import pytest

from modwright.jobs.specs import Hyperparameters, Integration, JobSpec, LossFunction, TargetSpec, TrainingFile
from modwright.schema import TargetKind

SPEC = JobSpec(
    model="fast",
    training_files=(TrainingFile("a", 2.0), TrainingFile("b")),
    validation_files=("c",),
    hyperparameters=Hyperparameters(training_steps=5, learning_rate=1e-4, seed=3),
    targets=(
        TargetSpec("moderation", ("x", "y"), 0.5, LossFunction.MULTI_CLASS),
        TargetSpec("tone", ("u", "v")),
    ),
    invalid_sample_skip_percentage=0.1,
    suffix="s",
    integrations=(Integration("p", name="n", tags=("t",)),),
    recipe="fast",
    overrides={"head.folds": 3, "head.c": [1.0]},
    metadata={"k": "v"},
)


@pytest.mark.parametrize("spec", [SPEC, JobSpec("fast", (TrainingFile("a"),))])
def test_a_spec_comes_back_from_json(spec):
    assert JobSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_what_a_stored_spec_lacks_has_its_default():
    assert JobSpec.from_json({"model": "m", "training_files": [{"file_id": "a"}]}) == JobSpec(
        "m", (TrainingFile("a"),)
    )


def test_what_makes_a_twin():
    same = {"metadata": {}, "integrations": ()}
    assert dataclasses.replace(SPEC, **same).twin() == SPEC.twin()
    others = {
        "model": "balanced",
        "training_files": (TrainingFile("a"), TrainingFile("b")),
        "validation_files": (),
        "hyperparameters": Hyperparameters(training_steps=6),
        "targets": None,
        "invalid_sample_skip_percentage": 0.0,
        "suffix": "t",
        "recipe": None,
        "overrides": {"head.folds": 4},
    }
    assert {*same, *others} == {field.name for field in dataclasses.fields(JobSpec)}
    twins = {dataclasses.replace(SPEC, **{key: value}).twin() for key, value in others.items()}
    assert len(twins | {SPEC.twin()}) == len(others) + 1


def test_no_secret_has_a_place_in_a_spec():
    assert "key" not in json.dumps(SPEC.to_json())


def test_the_words_of_the_wire_for_kinds():
    for kind in TargetKind:
        assert LossFunction.of(kind).kind is kind
