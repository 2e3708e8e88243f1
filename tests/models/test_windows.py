"""Windows: nothing is dropped, every base can take them, and documents are what their windows say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.models.tokens import Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule, combine, owners
from modwright.schema import Target, TargetKind
from modwright.testing import tiny_tokenizer


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Tokenizer:
    """Whole words and single characters, two special tokens."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    return Tokenizer(path)


@pytest.fixture(scope="module")
def letters(tmp_path_factory) -> Tokenizer:
    """One token per byte, so that any text has at least as many as with the other; no special tokens."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    backend.save(str(path))
    return Tokenizer(path)


words = st.one_of(
    st.sampled_from(
        [
            "goose",
            "silly",
            "the",
            "river",
            "zq",
            "gooseriver",
            "goose.",
            "river!\n",
            "unbelievablylongword" * 3,
            "🪿",
            "é",
        ]
    ),
    st.text(max_size=6),
)
EDGES = (0.75, 0.5, 0.35)
texts = st.lists(words, max_size=60).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(
    text=texts,
    tokens=st.integers(8, 40),
    overlap=st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    edges=st.sampled_from([(), (0.5,), EDGES]),
    which=st.sampled_from(["pieces", "letters", "both", "both reversed"]),
)
def test_every_token_lies_in_a_window_that_every_base_can_take(
    pieces, letters, text, tokens, overlap, edges, which
):
    tokenizers = {
        "pieces": [pieces],
        "letters": [letters],
        "both": [pieces, letters],
        "both reversed": [letters, pieces],
    }[which]
    rule = WindowRule(tokens, overlap, SingleLabelRule.MEAN, edges)
    (windows,) = rule.cut([text], tokenizers)
    assert windows
    assert rule.cut(["the goose", text, text], tokenizers)[1:] == [windows, windows], "cutting is repeatable"
    covered = np.zeros(len(text), dtype=bool)
    for begin, end in windows:
        assert 0 <= begin <= end <= len(text)
        covered[begin:end] = True
        for tokenizer in tokenizers:
            assert end - begin <= 1 or tokenizer.lengths([text[begin:end]])[0] <= tokens
    for token in tokenizers[0].spans([text])[0]:
        assert covered[token.begin : token.end].all()
    assert windows == sorted(set(windows)), "in order of begin, then end; windows may lie in each other"
    fits = all(tokenizer.lengths([text])[0] <= tokens for tokenizer in tokenizers)
    assert (windows == [(0, len(text))]) is fits


@pytest.mark.parametrize(("overlap", "repeated"), [(0.0, 0), (0.25, 2), (0.5, 5), (0.8, 8)])
def test_windows_overlap_by_the_share_that_was_asked_for(pieces, overlap, repeated):
    text = "goose " * 100
    (windows,) = WindowRule(12, overlap, SingleLabelRule.MEAN).cut([text], [pieces])
    for before, after in itertools.pairwise(windows):
        assert text[after[0] : before[1]].split() == ["goose"] * repeated
    assert all(len(text[begin:end].split()) == 10 for begin, end in windows[:-1])


def test_windows_begin_and_end_at_words(pieces):
    text = " ".join(["gooseriver", "walkmusic", "the"] * 30)
    (windows,) = WindowRule(24, 0.5, SingleLabelRule.MEAN).cut([text], [pieces])
    assert len(windows) > 3
    known = set(text.split())
    for begin, end in windows:
        assert set(text[begin:end].split()) <= known


def test_a_word_longer_than_a_window_is_cut_and_a_word_after_it_still_found(pieces):
    text = "zq" * 40 + " goose"
    (windows,) = WindowRule(16, 0.5, SingleLabelRule.MEAN).cut([text], [pieces])
    assert len(windows) > 4
    assert any("goose" in text[begin:end] for begin, end in windows)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_without_sentences_each_window_begins_later_and_ends_no_earlier_than_the_one_before(pieces, overlap):
    text = " ".join(["the", "zq" * 6] * 20)
    (windows,) = WindowRule(16, overlap, SingleLabelRule.MEAN).cut([text], [pieces])
    begins, ends = [begin for begin, _ in windows], [end for _, end in windows]
    assert begins == sorted(set(begins))
    assert ends == sorted(ends)


def test_owners_counts_windows_per_document():
    assert owners([[(0, 1)], [(0, 1), (1, 2), (2, 3)], [(0, 1)]]).tolist() == [0, 1, 1, 1, 2]


MULTI = Target.create("m", TargetKind.MULTI_LABEL, ["insult", "threat"])
SINGLE = Target.create("s", TargetKind.SINGLE_LABEL, ["safe", "rude", "spam"])
NO_NEGATIVE = Target.create("n", TargetKind.SINGLE_LABEL, ["a", "b"])
documents = st.lists(st.integers(1, 4), min_size=1, max_size=6)


def drawn(counts, labels, seed):
    """Return window scores on a coarse grid, so that ties occur, and the starts."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, 4, size=(sum(counts), labels)) / 4.0
    return scores, np.cumsum([0, *counts[:-1]])


@settings(deadline=None)
@given(counts=documents, seed=st.integers(0, 9999))
def test_multi_label_documents_take_the_first_highest_window_per_label(counts, seed):
    scores, starts = drawn(counts, 2, seed)
    found, deciding = combine(MULTI, scores, starts, SingleLabelRule.WORST)
    for n, (start, count) in enumerate(zip(starts, counts, strict=True)):
        for label in range(2):
            column = scores[start : start + count, label].tolist()
            assert found[n, label] == max(column)
            assert deciding[n, label] == start + column.index(max(column))


@settings(deadline=None)
@given(counts=documents, seed=st.integers(0, 9999))
def test_single_label_documents_take_the_window_that_is_least_negative(counts, seed):
    scores, starts = drawn(counts, 3, seed)
    scores /= scores.sum(axis=1, keepdims=True)
    found, deciding = combine(SINGLE, scores, starts, SingleLabelRule.WORST)
    for n, (start, count) in enumerate(zip(starts, counts, strict=True)):
        harm = [1.0 - scores[start + k, 0] for k in range(count)]
        worst = start + harm.index(max(harm))
        assert np.array_equal(found[n], scores[worst])
        assert (deciding[n] == worst).all()


@settings(deadline=None)
@given(counts=documents, seed=st.integers(0, 9999))
@pytest.mark.parametrize(
    ("target", "rule"), [(SINGLE, SingleLabelRule.MEAN), (NO_NEGATIVE, SingleLabelRule.WORST)]
)
def test_single_label_documents_are_averaged_otherwise(target, rule, counts, seed):
    labels = len(target.labels)
    scores, starts = drawn(counts, labels, seed)
    scores /= scores.sum(axis=1, keepdims=True)
    found, deciding = combine(target, scores, starts, rule)
    for n, (start, count) in enumerate(zip(starts, counts, strict=True)):
        own = scores[start : start + count]
        assert np.allclose(found[n], own.mean(axis=0))
        for label in range(labels):
            column = own[:, label].tolist()
            assert deciding[n, label] == start + column.index(max(column))


def test_a_long_text_is_harmless_only_where_all_of_it_is():
    target = Target.create("m", TargetKind.MULTI_LABEL, ["insult", "safe"])
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.2, 0.6]])
    found, deciding = combine(target, scores, np.array([0, 3]), SingleLabelRule.WORST)
    assert found.tolist() == [[0.8, 0.2], [0.2, 0.6]]
    assert deciding.tolist() == [[1, 1], [3, 3]]
