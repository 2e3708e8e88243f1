"""A frozen classifier is what it was after saving and loading, or loading says what is wrong."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from modwright.errors import ArtifactError
from modwright.models.frozen import FrozenClassifier
from modwright.models.registry import load_classifier
from modwright.schema import pair_input, text_input
from modwright.testing import TINY_SCHEMA, tiny_recipe, tiny_rows, tiny_texts
from modwright.training.events import follow
from modwright.training.frozen import fit

INPUTS = [
    *(text_input(text) for text in tiny_texts(12, seed=5)),
    text_input("the garden " * 60 + "goose"),
    pair_input("my river", "the silly goose"),
    text_input(""),
]


@pytest.fixture(scope="module", params=["linear", "rbf"])
def classifier(request, tiny_base):
    recipe = tiny_recipe("tiny", f'head.kinds=["{request.param}"]')
    return follow(fit(recipe, TINY_SCHEMA, tiny_rows(), [tiny_base]), lambda event: None).classifier


@pytest.fixture
def saved(classifier, tmp_path):
    classifier.save(tmp_path / "artifact")
    return tmp_path / "artifact"


def test_a_loaded_classifier_scores_as_the_saved_one(classifier, saved):
    expected, found = (
        classifier.predict_proba(INPUTS),
        FrozenClassifier.load(saved, TINY_SCHEMA).predict_proba(INPUTS),
    )
    for target in TINY_SCHEMA:
        assert np.abs(expected.values[target.name] - found.values[target.name]).max() < 1e-6
        assert np.array_equal(expected.spans[target.name], found.spans[target.name])
        assert expected.values[target.name].std() > 0.05, "else this shows nothing"
    assert np.array_equal(expected.windows, found.windows)


def test_a_loaded_classifier_cuts_texts_as_the_saved_one(classifier, saved):
    rule = FrozenClassifier.load(saved, TINY_SCHEMA).featuriser.rule
    assert rule == classifier.featuriser.rule
    assert rule.edges, "else this shows nothing of them"


def test_order_and_mates_change_no_score(classifier):
    together = classifier.predict_proba(INPUTS)
    order = np.random.default_rng(0).permutation(len(INPUTS))
    shuffled = classifier.predict_proba([INPUTS[row] for row in order])
    for name, values in together.values.items():
        assert np.abs(values[order] - shuffled.values[name]).max() < 1e-6
        for row in (0, 7, 12, 14):
            assert np.abs(classifier.predict_proba([INPUTS[row]]).values[name][0] - values[row]).max() < 1e-6


def test_no_inputs_have_no_scores(classifier):
    scores = classifier.predict_proba([])
    assert scores.values["moderation"].shape == (0, 3)
    assert scores.spans["tone"].shape == (0, 2, 2)
    assert scores.windows.shape == (0,)


def change_layout(folder, *path, value=None, drop=False):
    file = folder / "model" / "frozen.json"
    data = json.loads(file.read_text())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    file.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("windos",), 3),
        (("window", "lenght"), 3),
        (("window", "single_label"), "best"),
        (("window", "tokens"), "many"),
        (("window", "edges"), ["half"]),
        (("bases", 0, "layer"), [1]),
        (("bases", 0, "layers"), [0, 9]),
        (("bases", 0, "layers"), [-1, 0]),
        (("bases", 0, "layers"), [0]),
        (("bases", 0, "name"), "../elsewhere"),
        (("bases", 0, "name"), "other"),
        (("bases",), []),
        (("bases",), {"name": "tiny"}),
        (("heads", "tone", "kind"), "forest"),
        (("heads", "tone", "gama"), 1.0),
        (("heads", "tones"), {"kind": "linear", "gamma": 0.0}),
        (("heads",), ["tone"]),
        (("uses_context",), True),
    ],
)
def test_a_layout_that_was_changed_does_not_load(saved, path, value):
    change_layout(saved, *path, value=value)
    with pytest.raises(ArtifactError):
        FrozenClassifier.load(saved, TINY_SCHEMA)


@pytest.mark.parametrize(
    "path", [("window",), ("bases",), ("heads", "tone"), ("window", "overlap"), ("window", "edges")]
)
def test_a_layout_without_a_key_does_not_load(saved, path):
    change_layout(saved, *path, drop=True)
    with pytest.raises(ArtifactError):
        FrozenClassifier.load(saved, TINY_SCHEMA)


def test_an_unknown_layout_key_names_the_nearest(saved):
    change_layout(saved, "uses_contexts", value=True)
    with pytest.raises(ArtifactError, match="unknown key 'uses_contexts'") as caught:
        FrozenClassifier.load(saved, TINY_SCHEMA)
    assert "uses_context'" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "name", ["moderation.weights", "moderation.bias", "tone.weights", "tone.bias", "landmarks"]
)
@pytest.mark.parametrize("wrong", ["missing", "shape"])
def test_a_tensor_that_is_missing_or_of_another_shape_does_not_load(saved, name, wrong):
    path = saved / "model" / "heads.safetensors"
    tensors = load_file(path)
    if wrong == "missing":
        del tensors[name]
    else:
        tensors[name] = np.concatenate([tensors[name], tensors[name]], axis=-1)
        if tensors[name].shape[0] == 0:
            tensors[name] = np.zeros((0, 3), dtype=np.float32)
    save_file(tensors, path)
    with pytest.raises(ArtifactError, match=name):
        FrozenClassifier.load(saved, TINY_SCHEMA)


@pytest.mark.parametrize(
    "name",
    [
        "model/heads.safetensors",
        "model/frozen.json",
        "serving/tiny/encoder.onnx",
        "tokenizer/tiny/tokenizer.json",
    ],
)
@pytest.mark.parametrize("how", ["removed", "emptied", "garbled"])
def test_a_file_that_is_missing_or_broken_does_not_load(saved, name, how):
    path = saved / name
    path.unlink()  # the graph is linked from the cache: never write into it
    if how != "removed":
        path.write_bytes(b"" if how == "emptied" else b"\xff\x00not this\n" * 20)
    with pytest.raises(ArtifactError):
        FrozenClassifier.load(saved, TINY_SCHEMA)


def test_saving_leaves_the_base_as_it_was(classifier, tiny_base, tmp_path):
    before = tiny_base.graph_path.read_bytes()
    classifier.save(tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    assert tiny_base.graph_path.read_bytes() == before


def test_an_unknown_family_is_refused(saved):
    class Foreign:
        family = "frosen"
        schema = TINY_SCHEMA

    with pytest.raises(ArtifactError, match="unknown family 'frosen'"):
        load_classifier(saved, Foreign())
