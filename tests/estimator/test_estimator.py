"""scikit-learn's face: classes and matrices, its own tools, and the artifact that comes of it."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from modwright.artifact import read_artifact
from modwright.errors import NotFoundError, RecipeError, SchemaError, UsageError
from modwright.estimator import ModerationClassifier
from modwright.estimator.inputs import group_keys, read_inputs
from modwright.estimator.parameters import resolve
from modwright.pipeline.fitting import fit_rows, save_trained
from modwright.serving.engine import Engine
from modwright.settings import load_settings
from modwright.testing import TINY_SCHEMA, tiny_labels, tiny_rows, tiny_texts

TEXTS = tiny_texts(90)
LABELS = tiny_labels(TEXTS)
TONE = np.where(LABELS["tone"][:, 1] > 0, "rude", "kind")
MATRIX = LABELS["moderation"][:, :2]


@pytest.fixture(scope="module")
def small(tiny_base_folder):
    """Overrides under which `fast` takes a second."""
    return {
        "bases": [{"name": str(tiny_base_folder), "layers": [0, 1]}],
        "window": {**dict.fromkeys(("min_tokens", "max_tokens"), 16), **_WINDOW},
        "head.c": [1.0, 16.0],
        "head.gamma": [0.5],
        "head.folds": 3,
        "head.max_landmarks": 60,
        "training_steps": 40,
        "evaluation.resamples": 10,
    }


_WINDOW = {"quantile": 0.9, "overlap": 0.5, "edges": [0.5], "single_label": "worst", "rounds": 1}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory, tiny_base, tiny_cache):
    """A home of its own, which holds the tiny base's graph."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(tiny_cache / "graphs", folder / "cache" / "graphs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODWRIGHT_HOME", str(folder))
        patch.setenv("MODWRIGHT_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def binary(small):
    """Fitted on two classes; tests only ask it."""
    return ModerationClassifier("fast", small).fit(TEXTS, TONE)


@pytest.fixture(scope="module")
def matrix(small):
    """Fitted on a matrix of two labels; tests only ask it."""
    return ModerationClassifier("fast", small, labels=["insult", "threat"]).fit(TEXTS, MATRIX)


def test_classes_are_answered_as_scikit_learn_does(binary):
    scores = binary.predict_proba(TEXTS)
    assert binary.classes_.tolist() == ["kind", "rude"]
    assert scores.shape == (90, 2)
    assert np.allclose(scores.sum(axis=1), 1.0)
    assert (binary.predict(TEXTS) == binary.classes_[scores.argmax(axis=1)]).all()
    assert binary.score(TEXTS, TONE) > 0.9
    assert binary.schema_.target("moderation").negative_labels == ("kind",)
    assert binary.predict([]).shape == (0,)


def test_two_classes_may_be_one_label_with_a_threshold(small):
    y = (TONE == "rude").astype(int)
    fitted = ModerationClassifier("fast", small, kind="multi_label").fit(TEXTS, y)
    (threshold,) = fitted.thresholds_.values()
    scores = fitted.predict_proba(TEXTS)
    assert fitted.classes_.tolist() == [0, 1]
    assert scores.shape == (90, 2)
    assert (fitted.predict(TEXTS) == (scores[:, 1] >= threshold)).all()
    assert fitted.predict(TEXTS).dtype == y.dtype


def test_a_matrix_is_answered_label_by_label(matrix):
    scores, flagged = matrix.predict_proba(TEXTS), matrix.predict(TEXTS)
    assert matrix.labels_.tolist() == ["insult", "threat"]
    assert scores.shape == flagged.shape == MATRIX.shape
    assert (flagged == (scores >= [matrix.thresholds_[label] for label in matrix.labels_])).all()
    judged = matrix.engine_.judge(read_inputs(TEXTS))
    told = [[label in one.targets["moderation"].flags for label in matrix.labels_] for one in judged]
    assert (np.array(told) == flagged).all()


def test_scikit_learns_scorers_see_a_matrix_of_two_labels(small):
    estimator = ModerationClassifier("fast", small)
    found = cross_val_score(
        estimator, TEXTS, MATRIX.astype(int), cv=2, scoring="roc_auc", error_score="raise"
    )
    assert (found > 0.6).all()


def test_unknown_cells_and_soft_labels_are_taken(small):
    labels = MATRIX * 0.8 + 0.1
    labels[::7, 0] = np.nan
    fitted = ModerationClassifier("fast", small).fit(TEXTS, labels, sample_weight=np.linspace(0.5, 1.5, 90))
    assert fitted.labels_.tolist() == ["label_0", "label_1"]
    assert np.isfinite(fitted.predict_proba(TEXTS)).all()


def test_a_search_goes_over_values_of_the_recipe(small):
    grid = {"clf__recipe__head__folds": [2, 3], "clf__recipe__head__c": [[1.0], [16.0]]}
    pipeline = Pipeline(
        [
            ("upper", FunctionTransformer(lambda texts: [text.upper() for text in texts])),
            ("clf", ModerationClassifier("fast", small)),
        ]
    )
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss", error_score="raise").fit(TEXTS, TONE)
    assert search.best_params_["clf__recipe__head__c"] in ([1.0], [16.0])
    assert search.best_estimator_.score(TEXTS, TONE) > 0.8


def test_groups_and_weights_go_through_cross_validation(small):
    pairs = [(f"prompt {number // 3}", text) for number, text in enumerate(TEXTS)]
    groups = [prompt for prompt, _ in pairs]
    found = cross_val_score(
        ModerationClassifier("fast", small), pairs, TONE, groups=groups, cv=GroupKFold(3), error_score="raise"
    )
    assert len(found) == 3


def test_a_clone_has_the_parameters_and_nothing_learnt(binary, small):
    copy = clone(binary)
    assert copy.get_params(deep=False) == binary.get_params(deep=False)
    assert copy.overrides == small
    with pytest.raises(NotFittedError):
        copy.predict(TEXTS)


def test_parameters_of_the_recipe_are_set_and_told(small):
    estimator = ModerationClassifier("fast", small)
    assert estimator.get_params()["recipe__head__folds"] == 3
    estimator.set_params(recipe__head__folds=np.int64(4), recipe__window__max_tokens=24, target="tone")
    assert estimator.get_params()["recipe__head__folds"] == 4
    assert estimator.get_params()["recipe__window__max_tokens"] == 24
    assert estimator.target == "tone"
    assert small["head.folds"] == 3
    with pytest.raises(RecipeError, match=r"unknown key 'head.fold'.*folds"):
        estimator.set_params(recipe__head__fold=2).fit(TEXTS, TONE)


def test_pickles_hold_parameters_and_the_artifact(binary, small):
    empty = pickle.loads(pickle.dumps(ModerationClassifier("fast", small)))
    assert empty.get_params(deep=False)["overrides"] == small
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(binary))))
    assert (again.predict_proba(TEXTS) == binary.predict_proba(TEXTS)).all()
    assert again.classes_.tolist() == binary.classes_.tolist()


def test_a_saved_model_is_an_artifact_that_loads_and_is_saved_again(tmp_path, small):
    y = (TONE == "rude").astype(int)
    fitted = ModerationClassifier("fast", small).fit(TEXTS, y)
    folder = fitted.save(tmp_path / "model")
    loaded = ModerationClassifier.load(folder)
    assert loaded.classes_.tolist() == [0, 1]
    assert np.allclose(loaded.predict_proba(TEXTS), fitted.predict_proba(TEXTS), atol=1e-6)
    assert Engine.load(folder, threads=1).schema == fitted.schema_
    assert read_artifact(loaded.save(tmp_path / "again")).id == read_artifact(folder).id
    assert read_artifact(ModerationClassifier("fast", small).fit(TEXTS, y).save(tmp_path / "third")).id == (
        read_artifact(folder).id
    )
    with pytest.raises(UsageError, match="exists already"):
        fitted.save(folder)
    refitted = loaded.set_params(overrides=small).fit(TEXTS, TONE)
    assert refitted.classes_.tolist() == ["kind", "rude"]


def test_a_saved_model_is_served(tmp_path, matrix):
    folder = matrix.save(tmp_path / "model")
    command = [sys.executable, "-c", "from modwright.cli import main; main()", "serve", str(folder)]
    process = subprocess.Popen(
        [*command, "--no-jobs", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        ready = json.loads(process.stdout.readline())
        body = json.dumps({"input": TEXTS[0]}).encode()
        request = urllib.request.Request(
            f"{ready['url']}/v1/moderations", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            (result,) = json.loads(response.read())["results"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    scores = dict(zip(matrix.labels_, matrix.predict_proba(TEXTS[:1])[0], strict=True))
    assert result["category_scores"] == pytest.approx(scores, abs=1e-4)
    assert [result["categories"][label] for label in matrix.labels_] == matrix.predict(TEXTS[:1])[0].tolist()


def test_an_artifact_that_training_wrote_is_loaded_by_its_labels(tmp_path, small):
    recipe = resolve("fast", small)
    trained = fit_rows(recipe, TINY_SCHEMA, tiny_rows(60), load_settings(), on_event=lambda event: None)
    save_trained(trained, tmp_path / "model")
    tone = ModerationClassifier.load(tmp_path / "model", target="tone")
    assert tone.classes_.tolist() == ["kind", "rude"]
    assert set(tone.predict(TEXTS)) == {"kind", "rude"}
    moderation = ModerationClassifier.load(tmp_path / "model")
    assert moderation.labels_.tolist() == ["insult", "threat", "safe"]
    found = moderation.predict(TEXTS)
    assert (found[:, 2] == (moderation.predict_proba(TEXTS)[:, 2] >= 0.5)).all()
    with pytest.raises(SchemaError, match="did you mean 'tone'"):
        ModerationClassifier.load(tmp_path / "model", target="ton")
    with pytest.raises(NotFoundError):
        ModerationClassifier.load(tmp_path)


def test_inputs_of_every_kind_are_read():
    import pandas as pd

    frame = pd.DataFrame({"prompt": ["why?", "how?"], "response": ["because", "like so"]})
    pairs = read_inputs(frame)
    assert pairs == read_inputs([("why?", "because"), ("how?", "like so")]) == read_inputs(frame.to_numpy())
    turns = [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "because"}]
    assert read_inputs([turns])[0] == pairs[0]
    assert read_inputs(np.array(["a", "b"])) == read_inputs(pd.Series(["a", "b"])) == read_inputs(["a", "b"])
    assert read_inputs(np.array([["a"], ["b"]], dtype=object)) == read_inputs(["a", "b"])
    first, same, other = group_keys(read_inputs([("Why  ?", "x"), ("why ?", "y"), ("how?", "x")]))
    assert first == same != other


@pytest.mark.parametrize(
    ("X", "found"),
    [
        ("one text", "X is str"),
        ([["a", 1.0]], "X, row 0: found list"),
        (["a", 3], "X, row 1: found int"),
        ([[{"role": "judge", "content": "a"}]], "X, row 0: a turn has the role 'judge'"),
        (np.zeros((3, 4)), "X, row 0: found list"),
    ],
)
def test_a_wrong_input_is_named(X, found):
    with pytest.raises(UsageError, match=found):
        read_inputs(X)


@pytest.mark.parametrize(
    ("y", "arguments", "found"),
    [
        (["a"] * 90, {}, "the one class"),
        (np.linspace(0, 1, 90), {}, "fractions"),
        (MATRIX * 3, {}, "outside 0..1"),
        (MATRIX, {"labels": ["a"]}, "2 columns, and 1 labels"),
        (TONE, {"labels": ["a", "b"]}, "labels name the columns"),
        (TONE[:50], {}, "rows differ in number"),
        (np.arange(90) % 3, {"kind": "multi_label"}, "3 classes, which exclude each other"),
        (np.zeros((90, 2, 2)), {}, "has the shape"),
    ],
)
def test_a_wrong_answer_is_named(small, y, arguments, found):
    with pytest.raises(UsageError, match=found):
        ModerationClassifier("fast", small, **arguments).fit(TEXTS, y)


#: `check_estimator` runs these two alone for an estimator of texts; every other check of scikit-learn fits matrices of
#: numbers. Those that fit nothing are run here besides.
_CHECKS = (
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_mixin_order,
)


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_scikit_learns_own_checks_pass():
    estimator_checks.check_estimator(ModerationClassifier(), on_skip=None)
    for check in _CHECKS:
        check("ModerationClassifier", ModerationClassifier())
