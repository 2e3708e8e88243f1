"""The estimator over fine-tuned families: an encoder and a causal LM fit, answer, clone, are saved and pickled."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from modwright.artifact import read_artifact
from modwright.errors import ArtifactError, NotFoundError
from modwright.estimator import ModerationClassifier
from modwright.testing import make_tiny_causal, tiny_labels, tiny_texts

TEXTS = tiny_texts(48)
LABELS = tiny_labels(TEXTS)
TONE = np.where(LABELS["tone"][:, 1] > 0, "rude", "kind")
MATRIX = LABELS["moderation"][:, :2]
_SMALL = {
    "window.min_tokens": 16,
    "window.max_tokens": 16,
    "training.precision": "float32",
    "batches.rows": 8,
    "evaluation.resamples": 0,
}
_ENCODER = {"optimizer.learning_rate": 1e-3, "optimizer.head_learning_rate": 1e-2, "training.epochs": 2}
_CAUSAL = {
    **{"prompt.instructions": "judge", "prompt.separator": "\n<cut>\n", "prompt.question": "{label}"},
    **{"adapter.rank": 4, "optimizer.learning_rate": 1e-2, "training.epochs": 6},
}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """A home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODWRIGHT_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MODWRIGHT_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def estimators(tiny_base_folder, tmp_path_factory):
    """One of each family, not fitted."""
    causal = make_tiny_causal(tmp_path_factory.mktemp("causal") / "tiny-causal")
    encoder = {"base.name": str(tiny_base_folder), "validation.method": "holdout", **_SMALL, **_ENCODER}
    return {
        "encoder": ModerationClassifier("balanced", encoder),
        "causal": ModerationClassifier("llm", {"base.name": str(causal), **_SMALL, **_CAUSAL}),
    }


@pytest.mark.parametrize("family", ["encoder", "causal"])
def test_classes_are_learnt_saved_loaded_and_pickled(estimators, family, tmp_path):
    model = clone(estimators[family]).fit(TEXTS, TONE)
    scores = model.predict_proba(TEXTS)
    assert model.classes_.tolist() == ["kind", "rude"]
    assert scores.shape == (48, 2)
    assert np.allclose(scores.sum(axis=1), 1.0)
    assert scores[TONE == "rude", 1].mean() > scores[TONE == "kind", 1].mean() + 0.1
    assert read_artifact(model.save(tmp_path / "model")).family == family
    loaded = ModerationClassifier.load(tmp_path / "model")
    assert np.abs(loaded.predict_proba(TEXTS) - scores).max() < 1e-5
    assert (loaded.predict(TEXTS) == model.predict(TEXTS)).all()
    sent = pickle.loads(pickle.dumps(loaded))
    assert np.abs(sent.predict_proba(TEXTS[:5]) - scores[:5]).max() < 1e-5
    with pytest.raises((ArtifactError, NotFoundError)):
        ModerationClassifier.load(tmp_path)


def test_a_matrix_over_pairs_is_learnt(estimators):
    model = clone(estimators["causal"]).set_params(labels=["insult", "threat"], recipe__training__epochs=1)
    pairs = [(f"why {number}", text) for number, text in enumerate(TEXTS)]
    model.fit(pairs, MATRIX, sample_weight=np.ones(48))
    assert model.predict_proba(pairs).shape == (48, 2)
    assert set(np.unique(model.predict(pairs))) <= {0, 1}
    assert model.labels_.tolist() == ["insult", "threat"]
    assert set(model.thresholds_) == {"insult", "threat"}
    assert not hasattr(clone(model), "classes_")
    assert clone(model).get_params()["recipe__training__epochs"] == 1
