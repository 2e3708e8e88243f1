"""Features rotated so that a logistic fit is easy: centred, orthogonal columns of known curvature.

Linear heads rotate the features themselves; kernel heads the Nyström features of an RBF kernel (Williams and
Seeger 2001, "Using the Nyström method to speed up kernel machines"). With orthogonal columns the classical
bound on the logistic Hessian (Böhning and Lindsay 1988) is diagonal, so many fits share one array and one
step rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modwright.models.heads import Head, HeadKind, rbf_kernel, squared_distances
from modwright.schema import Float32Array, FloatArray

#: Directions with less than this share of the largest eigenvalue carry rounding noise, not signal.
_NEGLIGIBLE = 1e-7


@dataclass(frozen=True, slots=True)
class Basis:
    """The rows a head is fitted on.

    Attributes:
        kind: of the head that comes of it.
        gamma: kernel width, 0 for linear.
        rows: (W, R) centred, orthogonal under the row weights.
        curvature: (R,) sum over rows of weight x value².
        total: sum of the row weights: the curvature of a constant column.
        rotation: (D or M, R) from features or kernel values to `rows`, before centring.
        centre: (R,) what was subtracted.
    """

    kind: HeadKind
    gamma: float
    rows: FloatArray
    curvature: FloatArray
    total: float
    rotation: FloatArray
    centre: FloatArray

    def head(self, theta: FloatArray, bias: FloatArray) -> Head:
        """Return the head of fitted coefficients theta (R, L) and bias (L,)."""
        return Head(self.kind, self.rotation @ theta, bias - self.centre @ theta, self.gamma)


def _values(features: Float32Array, landmarks: Float32Array, kind: HeadKind, gamma: float) -> FloatArray:
    if kind is HeadKind.LINEAR:
        return features.astype(np.float64)
    return rbf_kernel(features, landmarks, gamma)


def make_basis(
    features: Float32Array, weights: FloatArray, landmarks: Float32Array, kind: HeadKind, gamma: float
) -> Basis:
    """Return the basis of rows (W, D) with weights (W,)."""
    values = _values(features, landmarks, kind, gamma)
    whiten = None
    if kind is HeadKind.RBF:
        eigenvalues, vectors = np.linalg.eigh(rbf_kernel(landmarks, landmarks, gamma))
        kept = eigenvalues > _NEGLIGIBLE * eigenvalues[-1]
        whiten = vectors[:, kept] / np.sqrt(eigenvalues[kept])
        values = values @ whiten
    total = max(float(weights.sum()), 1e-12)
    mean = weights @ values / total
    centred = values - mean
    curvature, turn = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    kept = curvature > _NEGLIGIBLE * max(curvature[-1], 1e-12)
    turn, curvature = _signed(turn[:, kept]), curvature[kept]
    rotation = turn if whiten is None else whiten @ turn
    return Basis(kind, gamma, centred @ turn, curvature, total, rotation, mean @ turn)


def _signed(vectors: FloatArray) -> FloatArray:
    """Fix the sign that an eigenvector leaves open: its largest entry is positive."""
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return np.asarray(vectors * np.where(largest < 0, -1.0, 1.0))


def pick_landmarks(features: Float32Array, most: int, seed: int) -> Float32Array:
    """Return at most `most` distinct rows of the features, drawn with the seed, in their order."""
    _, first = np.unique(features, axis=0, return_index=True)
    rows = np.sort(first)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))
    return features[rows]


def median_squared_distance(landmarks: Float32Array) -> float:
    """Return the median squared distance of the first 1,000 landmarks, 1 where they are all alike."""
    some = landmarks[:1000].astype(np.float64)
    distances = squared_distances(some, some)[np.triu_indices(len(some), k=1)]
    distances = distances[distances > 1e-12]
    return float(np.median(distances)) if len(distances) else 1.0
