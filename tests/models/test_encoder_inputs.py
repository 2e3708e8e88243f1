"""Inputs become rows of tokens: the last turn whole or in windows, the context shortened from its beginning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.models.encoder_inputs import InputRule, packed
from modwright.models.tokens import Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.schema import Message, Role, pair_input, text_input
from modwright.testing import NEUTRAL_WORDS, tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    return Tokenizer(path)


@pytest.fixture(scope="module")
def words(tokenizer):
    """Return a function from a row of tokens to its words."""
    numbers = {number: word for word, number in tiny_tokenizer().get_vocab().items()}
    return lambda ids: [numbers[int(number)] for number in ids]


def rule(tokens, share=0.25, overlap=0.25):
    return InputRule(WindowRule(tokens, overlap, SingleLabelRule.WORST), share)


def row(rows, number):
    end = rows.ends[number]
    return rows.ids[end - rows.lengths[number] : end], rows.types[end - rows.lengths[number] : end]


def test_a_text_is_what_the_tokenizer_makes_of_it(tokenizer):
    texts = ["the garden", "", "you silly goose!", "half \ud800 a pair"]
    rows = rule(16).encode([text_input(text) for text in texts], tokenizer)
    assert [row(rows, number)[0].tolist() for number in range(4)] == tokenizer.ids(texts)
    assert not rows.types.any()
    assert rows.counts.tolist() == [1, 1, 1, 1]
    assert rows.spans.tolist() == [[0, len(text)] for text in texts]


def test_a_pair_is_the_context_and_the_last_turn(tokenizer, words):
    rows = rule(16).encode([pair_input("the garden", "silly goose")], tokenizer)
    ids, types = row(rows, 0)
    assert words(ids) == ["[CLS]", "the", "garden", "[SEP]", "silly", "goose", "[SEP]"]
    assert types.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert rows.spans.tolist() == [[0, len("silly goose")]]


def test_a_conversation_has_all_earlier_turns_as_its_context(tokenizer, words):
    turns = (
        (Role.SYSTEM, "quiet"),
        (Role.USER, "the river"),
        (Role.ASSISTANT, "bread"),
        (Role.USER, "letter"),
    )
    rows = rule(16).encode([tuple(Message(role, text) for role, text in turns)], tokenizer)
    assert words(row(rows, 0)[0]) == ["[CLS]", "quiet", "the", "river", "bread", "[SEP]", "letter", "[SEP]"]


def test_a_long_context_loses_its_beginning_and_the_last_turn_nothing(tokenizer, words):
    context = " ".join([*["morning"] * 40, "table", "bread"])
    rows = rule(16).encode([pair_input(context, "you silly goose")], tokenizer)
    found = words(row(rows, 0)[0])
    assert len(found) == 16
    assert found[-3:] == ["silly", "goose", "[SEP]"]
    middle = found.index("[SEP]")
    assert found[middle - 2 : middle] == ["table", "bread"]
    assert rows.counts.tolist() == [1]


def test_a_long_last_turn_is_windowed_with_the_end_of_its_context_in_each(tokenizer, words):
    context = " ".join(["morning"] * 30 + ["bread"])
    response = " ".join(np.resize(NEUTRAL_WORDS, 60))
    rows = rule(24).encode([pair_input(context, response)], tokenizer)
    assert rows.counts[0] > 2
    assert rows.lengths.max() <= 24
    for number in range(len(rows.ends)):
        found = words(row(rows, number)[0])
        middle = found.index("[SEP]")
        assert found[middle - 1] == "bread"
        assert middle - 1 >= 5  # a quarter of the 21 tokens that are free, at least
        begin, end = rows.spans[number]
        assert found[middle + 1 : -1] == response[begin:end].split()


def test_a_short_context_leaves_the_window_to_the_last_turn(tokenizer):
    response = " ".join(["river"] * 19)
    rows = rule(24).encode([pair_input("bread", response)], tokenizer)
    assert rows.counts.tolist() == [1]  # 3 special tokens, 1 of context, 19 of response


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 70), st.integers(8, 40), st.sampled_from([0.0, 0.25, 0.5]))
def test_every_word_of_the_last_turn_lies_in_some_window(tokenizer, context, last, tokens, share):
    context_text = " ".join(np.resize(NEUTRAL_WORDS, context))
    last_text = " ".join(np.resize(NEUTRAL_WORDS[::-1], last))
    rows = rule(tokens, share).encode([pair_input(context_text, last_text)], tokenizer)
    assert rows.lengths.max() <= tokens
    covered = np.zeros(len(last_text), dtype=bool)
    for begin, end in rows.spans:
        covered[begin:end] = True
    assert all(covered[place] for place, character in enumerate(last_text) if character != " ")


def test_batches_are_padded_on_the_right_and_masked(tokenizer):
    rows = rule(16).encode([text_input("the garden"), pair_input("the", "silly small goose")], tokenizer)
    ids, mask, types = rows.batch([1, 0])
    assert mask.tolist() == [[1] * 7, [1] * 4 + [0] * 3]
    assert ids[1].tolist() == [*row(rows, 0)[0].tolist(), 0, 0, 0]
    assert types[0].tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_nothing_is_nothing(tokenizer):
    rows = rule(16).encode([], tokenizer)
    assert rows.lengths.shape == (0,)
    assert rows.spans.shape == (0, 2)
    assert rows.counts.shape == (0,)


def test_no_row_is_without_a_token():
    """Where a tokenizer adds none of its own, an empty text would be a mean over nothing."""
    rows = packed([([], []), ([7, 8], [0, 1])], [(0, 0), (0, 3)], [1, 1])
    assert rows.lengths.tolist() == [1, 2]
    ids, mask, _ = rows.batch([0, 1])
    assert (ids.tolist(), mask.tolist()) == ([[0, 0], [7, 8]], [[1, 0], [1, 1]])
