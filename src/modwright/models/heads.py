"""Heads on frozen features: arrays, evaluated in numpy, kept in safetensors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modwright.schema import Float32Array, FloatArray, TargetKind

_CHUNK_ROWS = 4096


class HeadKind(StrEnum):
    """The shape of a head's decision surface."""

    LINEAR = "linear"  # logistic regression on the features
    RBF = "rbf"  # logistic regression on a Gaussian kernel against landmark rows


@dataclass(frozen=True, slots=True)
class Head:
    """One target's trained head.

    Attributes:
        kind: linear or rbf.
        weights: (D, L) for linear, (M, L) coefficients of the M landmarks for rbf; float64, because the
            coefficients of near-alike landmarks cancel.
        bias: (L,) float64.
        gamma: the kernel's width, 0 for linear.
    """

    kind: HeadKind
    weights: FloatArray
    bias: FloatArray
    gamma: float = 0.0

    def logits(self, features: Float32Array, landmarks: Float32Array) -> FloatArray:
        """Return (W, L) log-odds (or unnormalised log-probabilities) of W rows of features (W, D)."""
        parts = [
            self._logits(features[begin : begin + _CHUNK_ROWS], landmarks)
            for begin in range(0, len(features), _CHUNK_ROWS)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.bias)))

    def _logits(self, features: Float32Array, landmarks: Float32Array) -> FloatArray:
        linear = self.kind is HeadKind.LINEAR
        basis = features.astype(np.float64) if linear else rbf_kernel(features, landmarks, self.gamma)
        return np.asarray(basis @ self.weights + self.bias)

    def to_tensors(self, name: str) -> dict[str, Any]:
        """Return the arrays under names for a safetensors file."""
        return {f"{name}.weights": self.weights, f"{name}.bias": self.bias}


def rbf_kernel(rows: NDArray[Any], landmarks: NDArray[Any], gamma: float) -> FloatArray:
    """Return exp(-gamma ||row - landmark||^2), (W, M), computed in float64."""
    a, b = rows.astype(np.float64), landmarks.astype(np.float64)
    return np.asarray(np.exp(-gamma * squared_distances(a, b)))


def squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return squared Euclidean distances between the rows of two arrays, never below 0."""
    square = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(square, 0.0))


def probabilities(logits: FloatArray, kind: TargetKind) -> FloatArray:
    """Return sigmoids for multi-label, a softmax over the last axis for single-label."""
    if kind is TargetKind.MULTI_LABEL:
        # Both branches of the usual stable sigmoid, without overflow warnings.
        small = np.exp(-np.abs(logits))
        return np.where(logits >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
