"""Label words as tokens in context: leading spaces, SentencePiece and byte-level BPE, and what cannot be told apart."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers

from modwright.errors import RecipeError
from modwright.models.label_tokens import answer_tokens, continuations, in_context
from modwright.models.tokens import Tokenizer
from modwright.testing import tiny_byte_tokenizer


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory) -> Tokenizer:
    path = tmp_path_factory.mktemp("byte") / "tokenizer.json"
    tiny_byte_tokenizer().save(str(path))
    return Tokenizer(path)


@pytest.fixture(scope="module")
def sentence_piece(tmp_path_factory) -> Tokenizer:
    """A BPE with "▁" for spaces and one put before every text, as Llama's and its like."""
    words = ["▁so:", "so:", "▁Yes", "Yes", "▁No", "No", "▁", "Maybe"]
    letters = sorted({letter for word in words for letter in word})
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(["<unk>", *letters]))}
    merges = []
    for word in words:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocabulary:
                vocabulary[word[:end]] = len(vocabulary)
                merges.append((word[: end - 1], word[end - 1]))
    backend = Backend(models.BPE(vocabulary, merges, unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.pre_tokenizer = pre_tokenizers.Split(":", "merged_with_previous")
    path = tmp_path_factory.mktemp("piece") / "tokenizer.json"
    backend.save(str(path))
    return Tokenizer(path)


def test_words_are_tokenized_behind_their_prompt(byte_level):
    stem, tokens = answer_tokens(byte_level, "so:", {"a": "River", "b": "table"}, "here")
    assert stem == "so:"
    for label, word in (("a", "River"), ("b", "table")):
        whole = byte_level.plain_ids([stem + word])[0]
        assert tuple(whole[-len(tokens[label]) :]) == tokens[label]


def test_a_blank_at_the_prompts_end_belongs_to_the_word(byte_level):
    stem, tokens = answer_tokens(byte_level, "so: ", {"a": "river", "b": "table"}, "here")
    assert stem == "so:"
    assert byte_level.names(tokens["a"]) == ["Ġriver"]
    assert byte_level.names(tokens["b"]) == ["Ġtable"]


def test_sentence_piece_puts_no_space_before_a_word_that_has_none(sentence_piece):
    stem, tokens = answer_tokens(sentence_piece, "so:", {"y": "Yes", "n": "No"}, "here")
    assert stem == "so:"
    assert [sentence_piece.names(ids) for ids in tokens.values()] == [["Yes"], ["No"]]
    assert sentence_piece.names(sentence_piece.plain_ids(["Yes"])[0]) == [
        "▁Yes"
    ]  # alone it would be another token


def test_sentence_piece_joins_a_blank_to_the_word(sentence_piece):
    _, tokens = answer_tokens(sentence_piece, "so: ", {"y": "Yes", "n": "No"}, "here")
    assert [sentence_piece.names(ids)[0] for ids in tokens.values()] == ["▁Yes", "▁No"]


def test_words_that_begin_alike_are_refused_with_their_tokens(byte_level):
    with pytest.raises(RecipeError) as caught:
        answer_tokens(byte_level, "so:", {"hot": "qat", "cold": "qid"}, "target 'x'")
    message = str(caught.value)
    assert "'qat' is ['q', 'a', 't']" in message
    assert "'qid' is ['q', 'i', 'd']" in message
    assert "[prompt.words]" in str(caught.value.remedy)
    assert caught.value.where == "prompt.words"


def test_a_word_that_melts_into_the_prompt_is_refused(byte_level):
    # "mor" + "ning" is the one word "morning".
    with pytest.raises(RecipeError, match="melts into the prompt") as caught:
        answer_tokens(byte_level, "mor", {"a": "ning", "b": "x"}, "target 'x'")
    assert "'ning'" in str(caught.value)


def test_continuations_tell_where_a_prompt_would_change(byte_level):
    found = continuations(byte_level, "mor", ["ning", " river"])
    assert found[0] is None
    assert byte_level.names(found[1] or []) == ["Ġriver"]
    assert in_context(byte_level, "mor", ["ning"]) == byte_level.plain_ids(["ning"])
