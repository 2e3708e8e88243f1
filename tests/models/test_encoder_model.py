"""The trained encoder as it is served: mates, windows, reload elsewhere, strict loading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoModel

from modwright.errors import ArtifactError
from modwright.models.encoder import EncoderClassifier
from modwright.schema import Schema, Target, pair_input, text_input
from modwright.testing import TINY_SCHEMA, make_tiny_base, tiny_encoder_recipe, tiny_rows, tiny_texts
from modwright.training.encoder import EncoderFamily

LONG = " ".join(["the garden walk near my small house."] * 20 + ["you silly goose."])
PAIRS = [("silly goose " * 30, "the river"), ("bread", "silly donkey " * 30), ("", "goose")]
INPUTS = [
    *map(text_input, [*tiny_texts(12, seed=4), "", LONG]),
    *(pair_input(prompt, response) for prompt, response in PAIRS),
]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Return a family and its task: the heads are a probe, and the trunk is not trained."""
    folder = make_tiny_base(tmp_path_factory.mktemp("base") / "tiny")
    recipe = tiny_encoder_recipe(folder)
    family = EncoderFamily(recipe, TINY_SCHEMA, folder, max_tokens=62, threads=1)
    return family, family.task(tiny_rows(80), 1)


@pytest.fixture(scope="module")
def classifier(task):
    family, trained = task
    return family.classifier(trained)


@pytest.fixture
def saved(classifier, tmp_path):
    classifier.save(tmp_path / "artifact")
    return tmp_path / "artifact"


def test_it_scores_as_the_training_process_did(task, classifier):
    _, trained = task
    served = classifier.predict_proba(INPUTS)
    for name, values in trained.scores(INPUTS, exact=True).items():
        np.testing.assert_allclose(served.values[name], values, atol=1e-5)
    for name, values in trained.scores(INPUTS, exact=False).items():
        np.testing.assert_allclose(served.values[name], values, atol=1e-4)


def test_batch_mates_change_nothing(classifier):
    together = classifier.predict_proba(INPUTS)
    order = np.random.default_rng(1).permutation(len(INPUTS))
    shuffled = classifier.predict_proba([INPUTS[row] for row in order])
    alone = [classifier.predict_proba([value]) for value in INPUTS]
    for name, values in together.values.items():
        np.testing.assert_allclose(shuffled.values[name], values[order], atol=1e-6)
        np.testing.assert_allclose(np.concatenate([one.values[name] for one in alone]), values, atol=1e-6)
        np.testing.assert_array_equal(
            np.concatenate([one.spans[name] for one in alone]), together.spans[name]
        )


def test_long_texts_are_scored_in_windows_and_the_span_says_which(classifier):
    scores = classifier.predict_proba([text_input(LONG)])
    assert scores.windows[0] > 5
    begin, end = scores.spans["moderation"][0, 0]
    alone = classifier.predict_proba([text_input(LONG[begin:end])])
    assert scores.values["moderation"][0, 0] == pytest.approx(alone.values["moderation"][0, 0], abs=1e-6)


def test_no_inputs_no_scores(classifier):
    scores = classifier.predict_proba([])
    assert scores.values["moderation"].shape == (0, 3)
    assert scores.spans["tone"].shape == (0, 2, 2)


_FRESH = """
import json, sys
from pathlib import Path
from modwright.models.encoder import EncoderClassifier
from modwright.schema import Message, Role
from modwright.testing import TINY_SCHEMA
inputs = [tuple(Message(Role(role), text) for role, text in value) for value in json.loads(sys.argv[2])]
scores = EncoderClassifier.load(Path(sys.argv[1]), TINY_SCHEMA, threads=1).predict_proba(inputs)
assert "torch" not in sys.modules and "transformers" not in sys.modules
print(json.dumps({name: values.tolist() for name, values in scores.values.items()}))
"""


def test_a_fresh_process_gives_the_same_scores_without_torch(classifier, saved):
    inputs = json.dumps([[[message.role, message.content] for message in value] for value in INPUTS])
    done = subprocess.run(
        [sys.executable, "-c", _FRESH, str(saved), inputs],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    here = classifier.predict_proba(INPUTS)
    for name, values in json.loads(done.stdout).items():
        np.testing.assert_allclose(values, here.values[name], atol=1e-6)


def test_transformers_reads_the_model_and_its_labels(classifier, saved):
    config = AutoConfig.from_pretrained(saved / "model")
    names = [f"{target.name}/{label}" for target in TINY_SCHEMA for label in target.labels]
    assert [config.id2label[number] for number in range(len(names))] == names
    assert config.label2id == {name: number for number, name in enumerate(names)}
    trunk = AutoModel.from_pretrained(saved / "model").eval()
    heads = load_file(saved / "model" / "heads.safetensors")
    (ids,) = classifier.tokenizer.ids(["the silly goose"])
    with torch.inference_mode():
        states = trunk(input_ids=torch.tensor([ids])).last_hidden_state.mean(dim=1)
    pooled = (states / states.norm(dim=1, keepdim=True)).numpy()
    scores = classifier.predict_proba([text_input("the silly goose")])
    logits = pooled @ heads["moderation.weight"].T + heads["moderation.bias"]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores.values["moderation"], atol=1e-5)


def test_nothing_in_the_files_tells_of_this_machine(task, saved):
    family, _ = task
    for path in saved.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (
                str(family.base_folder),
                str(Path.cwd()),
                "modwright-encoder-",
                "transformers_version",
            ):
                assert secret.encode() not in content, path


def _damaged(saved, change):
    path = saved / "model" / "encoder.json"
    layout = json.loads(path.read_text())
    change(layout)
    path.write_text(json.dumps(layout))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layout: layout["columns"].reverse(), "the logits are"),
        (lambda layout: layout.pop("window"), "'window' is missing"),
        (lambda layout: layout.update(windows=3), "unknown key 'windows'"),
        (lambda layout: layout["window"].update(tokens=None), "cannot be read"),
        (lambda layout: layout["window"].update(single_label="best"), "cannot be read"),
    ],
)
def test_a_layout_that_is_not_right_is_refused(saved, change, message):
    _damaged(saved, change)
    with pytest.raises(ArtifactError, match=message):
        EncoderClassifier.load(saved, TINY_SCHEMA)


@pytest.mark.parametrize(
    "name", ["model/encoder.json", "tokenizer/tokenizer.json", "serving/classifier.onnx"]
)
def test_a_missing_part_is_refused_not_improvised(saved, name):
    (saved / name).unlink()
    with pytest.raises(ArtifactError):
        EncoderClassifier.load(saved, TINY_SCHEMA)


def test_a_schema_in_another_order_is_refused(saved):
    first, second = TINY_SCHEMA.targets
    with pytest.raises(ArtifactError, match="the logits are"):
        EncoderClassifier.load(saved, Schema((second, first)))
    turned = Target(first.name, first.kind, first.labels[::-1], first.negative_labels)
    with pytest.raises(ArtifactError, match="the logits are"):
        EncoderClassifier.load(saved, Schema((turned, second)))


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (("input_ids", "attention_mask"), ("pooled", ["n", 5]), "no output 'logits'"),
        (("input_ids", "attention_mask"), ("logits", ["n", "labels"]), "no output 'logits'"),
        (("input_ids",), ("logits", ["n", 5]), "the graph's inputs are"),
        (("input_ids", "attention_mask", "positions"), ("logits", ["n", 5]), "the graph's inputs are"),
        (("input_ids", "attention_mask"), ("logits", ["n", 4]), "gives 4 logits, the schema has 5 labels"),
    ],
)
def test_a_graph_of_another_kind_is_refused(saved, inputs, output, message):
    (saved / "serving" / "classifier.onnx").unlink()  # a link to the classifier's own
    onnx.save(_graph(inputs, *output), str(saved / "serving" / "classifier.onnx"))
    with pytest.raises(ArtifactError, match=message):
        EncoderClassifier.load(saved, TINY_SCHEMA)


def _graph(inputs, name, shape):
    """Return a graph that gives its ids as floats."""
    given = [onnx.helper.make_tensor_value_info(one, onnx.TensorProto.INT64, ["n", "t"]) for one in inputs]
    found = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    node = onnx.helper.make_node("Cast", [inputs[0]], [name], to=onnx.TensorProto.FLOAT)
    graph = onnx.helper.make_graph([node], "ids", given, [found])
    opset = onnx.helper.make_opsetid("", 18)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
