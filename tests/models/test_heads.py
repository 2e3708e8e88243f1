"""Heads and the solver against scikit-learn, and the rules for unknown, weighted and soft labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel as sklearn_rbf

from modwright.models.heads import Head, HeadKind, probabilities, rbf_kernel
from modwright.models.windows import SingleLabelRule
from modwright.schema import Target, TargetKind
from modwright.training.basis import make_basis, median_squared_distance, pick_landmarks
from modwright.training.documents import Documents, whole_rows
from modwright.training.selection import Question, document_log_loss, fit, fits_of_round
from modwright.training.solver import FINAL_TOLERANCE, solve

NONE = np.zeros((0, 6), dtype=np.float32)


#: Lets fits settle far beyond what changes a score, so that coefficients can be compared.
TO_THE_END = 1e-15


def rows_of(n=150, width=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def target_of(labels, kind=TargetKind.MULTI_LABEL):
    return Target("t", kind, tuple("abcdefgh"[:labels]))


def noisy(features, labels, seed=0, noise=1.0):
    rng = np.random.default_rng(seed + 99)
    activation = features @ rng.normal(size=(features.shape[1], labels)) + rng.normal(size=labels)
    return (activation + noise * rng.logistic(size=activation.shape) > 0).astype(float)


def fitted(
    features,
    truth,
    c,
    *,
    weights=None,
    kind=TargetKind.MULTI_LABEL,
    gamma=None,
    landmarks=NONE,
    tolerance=TO_THE_END,
):
    """Fit every label of single-window documents at strength c; returns the head."""
    weights = np.ones(len(features)) if weights is None else weights
    shape = (HeadKind.LINEAR, 0.0) if gamma is None else (HeadKind.RBF, gamma)
    basis = make_basis(features, weights, landmarks, *shape)
    documents = Documents.of(np.arange(len(features)), len(features), weights)
    target = target_of(truth.shape[1], kind)
    question = Question(
        target, truth, np.zeros(len(features), int), documents, SingleLabelRule.WORST, 1, 20_000
    )
    seen = np.ones(truth.shape)
    solution = fit(basis, question, seen, np.full(truth.shape[1], float(c)), tolerance)
    return basis.head(solution.theta, solution.bias)


def reference(features, labels, c, weights=None):
    model = LogisticRegression(C=c, tol=1e-10, max_iter=10_000)
    return model.fit(features.astype(np.float64), labels, sample_weight=weights)


@pytest.mark.parametrize("c", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("noise", [0.0, 2.0], ids=["separable", "noisy"])
def test_linear_heads_are_scikit_learns_logistic_regression(c, noise):
    features = rows_of()
    truth = noisy(features, 3, noise=noise)
    head = fitted(features, truth, c)
    for label in range(3):
        model = reference(features, truth[:, label], c)
        scale = max(1.0, float(np.abs(model.coef_).max()))
        assert np.abs(head.weights[:, label] - model.coef_[0]).max() < 1e-3 * scale
        assert abs(head.bias[label] - model.intercept_[0]) < 1e-3 * scale
        p = probabilities(head.logits(rows_of(seed=5), NONE), TargetKind.MULTI_LABEL)[:, label]
        assert np.abs(p - model.predict_proba(rows_of(seed=5))[:, 1]).max() < 1e-3


@pytest.mark.parametrize("c", [0.1, 1.0, 30.0])
def test_single_label_heads_are_scikit_learns_multinomial_regression(c):
    features = rows_of()
    classes = noisy(features, 2).sum(axis=1).astype(int)
    head = fitted(features, np.eye(3)[classes], c, kind=TargetKind.SINGLE_LABEL)
    model = reference(features, classes, c)
    p = probabilities(head.logits(rows_of(seed=5), NONE), TargetKind.SINGLE_LABEL)
    assert np.abs(p - model.predict_proba(rows_of(seed=5))).max() < 1e-3
    assert np.abs(head.weights - model.coef_.T).max() < 1e-2


def test_fits_stop_where_scores_no_longer_change():
    features = rows_of()
    truth = noisy(features, 1, noise=2.0)
    head = fitted(features, truth, 30.0, tolerance=FINAL_TOLERANCE)
    p = probabilities(head.logits(features, NONE), TargetKind.MULTI_LABEL)[:, 0]
    expected = reference(features, truth[:, 0], 30.0).predict_proba(features)[:, 1]
    assert np.abs(p - expected).max() < 0.005


@pytest.mark.parametrize("c", [1.0, 30.0])
def test_kernel_heads_are_logistic_regression_in_the_kernels_own_space(c):
    """With every row a landmark, the Nyström features span the kernel's space: K = B B'."""
    features = rows_of(80)
    truth = noisy(features, 2)
    gamma = 0.5 / median_squared_distance(features)
    head = fitted(features, truth, c, gamma=gamma, landmarks=features)
    kernel = sklearn_rbf(features.astype(np.float64), gamma=gamma)
    eigenvalues, vectors = np.linalg.eigh(kernel)
    kept = eigenvalues > 1e-10
    root = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    found = probabilities(head.logits(features, features), TargetKind.MULTI_LABEL)
    for label in range(2):
        model = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(root, truth[:, label])
        assert np.abs(found[:, label] - model.predict_proba(root)[:, 1]).max() < 1e-3


def test_the_kernel_is_scikit_learns():
    a, b = rows_of(7), rows_of(5, seed=1)
    assert np.allclose(
        rbf_kernel(a, b, 0.3), sklearn_rbf(a.astype(float), b.astype(float), gamma=0.3), atol=1e-12
    )


@given(seed=st.integers(0, 999), added=st.integers(1, 60))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_without_a_label_change_nothing_of_its_linear_head(seed, added):
    """They take part in the rotation, which a linear head undoes; kernel heads may gain landmarks."""
    features = rows_of(60, seed=seed)
    truth = noisy(features, 2, seed=seed)
    more = np.concatenate([features, 3.0 + 2.0 * rows_of(added, seed=seed + 1)])
    unknown = np.concatenate([truth, np.stack([np.full(added, np.nan), np.ones(added)], axis=1)])
    alone, together = fitted(features, truth, 1.0), fitted(more, unknown, 1.0)
    assert np.abs(alone.weights[:, 0] - together.weights[:, 0]).max() < 2e-3
    assert abs(alone.bias[0] - together.bias[0]) < 2e-3


@given(seed=st.integers(0, 999))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", list(TargetKind))
@pytest.mark.parametrize("gamma", [None, 0.1])
def test_a_weight_of_two_is_the_row_twice(kind, gamma, seed):
    features = rows_of(50, seed=seed)
    truth = noisy(features, 2, seed=seed)
    if kind is TargetKind.SINGLE_LABEL:
        truth[:, 1] = 1.0 - truth[:, 0]
    landmarks = NONE if gamma is None else features
    weights = np.where(np.arange(50) < 20, 2.0, 1.0)
    weighted = fitted(features, truth, 1.0, weights=weights, kind=kind, gamma=gamma, landmarks=landmarks)
    rows = np.concatenate([np.arange(50), np.arange(20)])
    doubled = fitted(features[rows], truth[rows], 1.0, kind=kind, gamma=gamma, landmarks=landmarks)
    probe = rows_of(30, seed=seed + 1)
    assert np.abs(weighted.logits(probe, landmarks) - doubled.logits(probe, landmarks)).max() < 2e-3


@given(seed=st.integers(0, 999), soft=st.sampled_from([0.5, 0.25, 0.9]))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_soft_label_is_a_positive_and_a_negative_of_its_share(seed, soft):
    features = rows_of(50, seed=seed)
    truth = noisy(features, 1, seed=seed)
    truth[:10] = soft
    head = fitted(features, truth, 1.0)
    rows = np.concatenate([np.arange(50), np.arange(10)])
    hard = truth[rows].copy()
    hard[:10], hard[50:] = 1.0, 0.0
    weights = np.concatenate([np.full(10, soft), np.ones(40), np.full(10, 1.0 - soft)])
    other = fitted(features[rows], hard, 1.0, weights=weights)
    assert np.abs(head.weights - other.weights).max() < 2e-3
    assert np.abs(head.bias - other.bias).max() < 2e-3


def test_a_label_that_never_or_always_holds_and_one_nobody_knows_are_fitted_too():
    features = rows_of(40)
    truth = np.stack([np.zeros(40), np.ones(40), np.full(40, np.nan)], axis=1)
    p = probabilities(fitted(features, truth, 1.0).logits(features, NONE), TargetKind.MULTI_LABEL)
    assert np.isfinite(p).all()
    assert p[:, 0].max() < 0.1
    assert p[:, 1].min() > 0.9
    assert np.allclose(p[:, 2], 0.5)


def joint(features, truth, masks, strengths):
    """Return the basis and the flattened problem of one fit per mask and strength: fold, strength, label."""
    documents = Documents.of(np.arange(len(features)), len(features), np.ones(len(features)))
    basis = make_basis(features, np.ones(len(features)), NONE, HeadKind.LINEAR, 0.0)
    labels = truth.shape[1]
    question = Question(
        target_of(labels), truth, np.zeros(len(features), int), documents, SingleLabelRule.WORST, 1, 20_000
    )
    seen = np.concatenate([np.repeat(m[:, None], len(strengths) * labels, axis=1) for m in masks], axis=1)
    return basis, question, seen, np.tile(np.repeat(strengths, labels), len(masks))


def test_many_fits_at_once_are_the_fits_alone():
    features = rows_of(90)
    truth = noisy(features, 2)
    masks = [np.arange(90) % 3 != fold for fold in range(3)]
    basis, question, seen, c = joint(features, truth, masks, [0.5, 8.0])
    together = fit(basis, question, seen, c, TO_THE_END)
    for fold, mask in enumerate(masks):
        for number, strength in enumerate([0.5, 8.0]):
            for label in range(2):
                column = (fold * 2 + number) * 2 + label
                model = reference(features[mask], truth[mask, label], strength)
                head = basis.head(together.theta[:, [column]], together.bias[[column]])
                assert np.abs(head.weights[:, 0] - model.coef_[0]).max() < 5e-3


@pytest.mark.parametrize("kind", list(TargetKind))
def test_the_solver_goes_down_settles_and_says_so(kind):
    features = rows_of(120)
    truth = noisy(features, 2)
    if kind is TargetKind.SINGLE_LABEL:
        truth[:, 1] = 1.0 - truth[:, 0]
    documents = Documents.of(np.arange(120), 120, np.ones(120))
    basis = make_basis(features, np.ones(120), NONE, HeadKind.LINEAR, 0.0)
    question = Question(
        target_of(2, kind), truth, np.zeros(120, int), documents, SingleLabelRule.WORST, 1, 20_000
    )
    fits = fits_of_round(basis, question, np.ones((120, 2)), np.full(2, 10.0), None)
    objective = []
    for number, solution in enumerate(solve(basis, fits), start=1):
        logits = solution.logits(basis.rows)
        p = probabilities(logits, kind)
        objective.append(
            120
            * document_log_loss(question.target, p, truth, np.ones(120))
            * (2 if kind is TargetKind.MULTI_LABEL else 1)
            + float((solution.theta**2).sum()) / 20
        )
        if solution.settled:
            break
        assert number < 500
    assert number > 3
    assert objective[-1] < objective[0]
    assert objective[-1] <= min(objective) + 1e-6
    restless = sum(after > before + 1e-9 for before, after in itertools.pairwise(objective))
    assert restless <= 0.2 * len(objective)


def test_unknown_single_label_rows_are_unknown_as_a_whole_and_soft_ones_sum_to_one():
    target = target_of(2, TargetKind.SINGLE_LABEL)
    truth = np.array([[1.0, np.nan], [0.0, 0.0], [0.6, 0.6], [0.0, 1.0]])
    expected = [[np.nan] * 2, [np.nan] * 2, [0.5, 0.5], [0.0, 1.0]]
    assert np.array_equal(whole_rows(target, truth), expected, equal_nan=True)
    assert whole_rows(target_of(2), truth) is truth


def test_document_log_loss_counts_known_cells_by_weight():
    scores = np.array([[0.8, 0.1], [0.3, 0.6]])
    truth = np.array([[1.0, np.nan], [0.0, 1.0]])
    weights = np.array([3.0, 1.0])
    expected = -(3 * np.log(0.8) + np.log(0.7) + np.log(0.6)) / 5
    assert document_log_loss(target_of(2), scores, truth, weights) == pytest.approx(expected)
    assert document_log_loss(target_of(2), scores, np.full((2, 2), np.nan), weights) == 0.0
    single = document_log_loss(
        target_of(2, TargetKind.SINGLE_LABEL), np.array([[0.8, 0.2], [0.3, 0.7]]), truth, weights
    )
    assert single == pytest.approx(-np.log(0.7)), "a row that is known in part is not counted"


def test_landmarks_are_distinct_rows_drawn_with_the_seed():
    features = np.concatenate([rows_of(30), rows_of(30)])
    assert len(pick_landmarks(features, 100, 0)) == 30
    some = pick_landmarks(features, 10, 0)
    assert np.array_equal(some, pick_landmarks(features, 10, 0))
    assert not np.array_equal(some, pick_landmarks(features, 10, 1))
    assert len(np.unique(some, axis=0)) == 10
    assert median_squared_distance(np.ones((5, 3), dtype=np.float32)) == 1.0


def test_heads_score_any_number_of_rows_alike():
    features = rows_of(9000)
    head = Head(HeadKind.RBF, np.ones((50, 2)), np.zeros(2), 0.2)
    whole = head.logits(features, features[:50])
    assert np.allclose(
        whole[[0, 4095, 4096, 8999]], head.logits(features[[0, 4095, 4096, 8999]], features[:50])
    )
    assert head.logits(features[:0], features[:50]).shape == (0, 2)
    extreme = probabilities(np.array([[-1e4, 1e4]]), TargetKind.MULTI_LABEL)
    assert np.array_equal(extreme, [[0.0, 1.0]])
