"""Between probabilities and log-odds, without overflow."""

from __future__ import annotations

import numpy as np

from modwright.schema import FloatArray

#: Scores are clipped this far from 0 and 1 before their logarithm is taken. The last numbers of single precision lie
#: 6e-8 below 1, so that a score that was rounded to 1 stands just beyond them: neither tied with them nor far away.
CLIP = 1e-8


def logit(p: FloatArray) -> FloatArray:
    """Return log(p / (1 - p)) of probabilities clipped `CLIP` away from 0 and 1."""
    p = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)


def log_clipped(p: FloatArray) -> FloatArray:
    """Return log(p) of probabilities clipped `CLIP` away from 0."""
    return np.asarray(np.log(np.clip(p, CLIP, 1.0)), dtype=np.float64)


def sigmoid(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)), dtype=np.float64)


def softmax(x: FloatArray) -> FloatArray:
    """Return exp(x) over its sum along the last axis, without overflow."""
    return np.asarray(np.exp(x - logsumexp(x)[..., None]), dtype=np.float64)


def logsumexp(x: FloatArray) -> FloatArray:
    """Return log(sum(exp(x))) along the last axis, without overflow."""
    top = x.max(axis=-1)
    return np.asarray(top + np.log(np.exp(x - top[..., None]).sum(axis=-1)), dtype=np.float64)
