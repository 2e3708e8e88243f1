"""Tiny stand-ins made in code: a tokenizer, a base, labelled data, a recipe and a classifier.

They need no network, hold no state and are the same on every machine, so that a program built on modwright
can be tested in seconds. The base is a real BERT of some 20,000 random weights: it goes through the same
export, training and serving as a pretrained one, and its labels can be learnt because they follow from single
words.
"""

from __future__ import annotations

from modwright.testing.bases import (
    make_tiny_base,
    make_tiny_causal,
    open_tiny_base,
    tiny_byte_tokenizer,
    tiny_tokenizer,
)
from modwright.testing.classifier import (
    WordClassifier,
)
from modwright.testing.data import (
    tiny_dataset,
    tiny_labels,
    tiny_records,
    tiny_rows,
    tiny_texts,
)
from modwright.testing.recipes import (
    tiny_causal_recipe,
    tiny_encoder_recipe,
    tiny_recipe,
)
from modwright.testing.words import (
    HARMLESS_SENTENCES,
    LABEL_WORDS,
    MODERATION,
    NEUTRAL_WORDS,
    TINY_SCHEMA,
    TONE,
)

__all__ = [
    "HARMLESS_SENTENCES",
    "LABEL_WORDS",
    "MODERATION",
    "NEUTRAL_WORDS",
    "TINY_SCHEMA",
    "TONE",
    "WordClassifier",
    "make_tiny_base",
    "make_tiny_causal",
    "open_tiny_base",
    "tiny_byte_tokenizer",
    "tiny_causal_recipe",
    "tiny_dataset",
    "tiny_encoder_recipe",
    "tiny_labels",
    "tiny_recipe",
    "tiny_records",
    "tiny_rows",
    "tiny_texts",
    "tiny_tokenizer",
]
