"""Prompt and response as one text: the response is whole in some window, whatever their lengths."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.models.joined_inputs import JoinedRule
from modwright.models.tokens import Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.schema import Message, Role, pair_input, text_input
from modwright.testing import NEUTRAL_WORDS, tiny_byte_tokenizer, tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    return Tokenizer(path)


def rule(tokens=20, pair="question: {prompt} answer: {response}"):
    return JoinedRule(WindowRule(tokens, 0.25, SingleLabelRule.WORST), 0.25, pair)


def rows_of(found):
    begins = [0, *found.ends[:-1]]
    return [found.ids[begin:end].tolist() for begin, end in zip(begins, found.ends, strict=True)]


def test_a_short_pair_is_the_template_and_a_text_is_itself(tokenizer):
    inputs = [pair_input("the river", "my garden"), text_input("green table")]
    found = rule(pair="{prompt} {response}").encode(inputs, tokenizer)
    assert rows_of(found) == tokenizer.ids(["the river my garden", "green table"])
    assert found.spans.tolist() == [[0, 9], [0, 11]]
    assert found.counts.tolist() == [1, 1]


def test_a_template_may_leave_the_prompt_out(tokenizer):
    found = rule(pair="{response}").encode([pair_input("the river", "my garden")], tokenizer)
    assert rows_of(found) == tokenizer.ids(["my garden"])


def test_braces_in_a_text_are_text(tokenizer):
    found = rule(40, "{prompt} {response}").encode([pair_input("a {response} b", "{0} c")], tokenizer)
    assert rows_of(found) == tokenizer.ids(["a {response} b {0} c"])


def test_a_long_prompt_is_shortened_from_its_beginning(tokenizer):
    prompt = " ".join(["river"] * 40 + ["music"])
    found = rule(12, "{prompt} {response}").encode([pair_input(prompt, "my small garden")], tokenizer)
    (row,) = rows_of(found)
    assert len(row) <= 12
    assert row[-5:] == tokenizer.ids(["music my small garden"])[0][-5:]


words = st.lists(st.sampled_from(NEUTRAL_WORDS), max_size=60).map(" ".join)


@given(words, words, words)
def test_no_row_is_too_long_and_no_word_of_the_response_is_lost(tokenizer, first, prompt, response):
    conversation = (Message(Role.USER, first), Message(Role.ASSISTANT, prompt), Message(Role.USER, response))
    found = rule(20, "{prompt} {response}").encode([conversation], tokenizer)
    assert (found.lengths <= 20).all()
    covered = set()
    for begin, end in found.spans.tolist():
        covered |= set(range(begin, end))
    missing = [c for place, c in enumerate(response) if place not in covered]
    assert not "".join(missing).strip()


class Patient(Tokenizer):
    """Does not go on for ever."""

    asked = 0

    def spans(self, texts):
        """Count."""
        self.asked += 1
        assert self.asked < 200
        return super().spans(texts)


@pytest.mark.parametrize("pair", ["{prompt} {response}", "Q: {prompt}\nA: {response}", "{response}"])
@pytest.mark.parametrize("prompt", ["🪿" * 30, "🪿", "a\u0301" * 40, "\x00" * 40])
def test_a_prompt_of_characters_of_many_tokens_is_shortened(tmp_path, prompt, pair):
    tiny_byte_tokenizer().save(str(tmp_path / "tokenizer.json"))
    tokenizer = Patient(tmp_path / "tokenizer.json")
    for response in ("the river " * 2, "the river " * 12, "🪿" * 9):
        found = rule(24, pair).encode([pair_input(prompt, response)], tokenizer)
        assert found.lengths.max() <= 24
        covered = {place for begin, end in found.spans.tolist() for place in range(begin, end)}
        assert {place for place, said in enumerate(response) if not said.isspace()} <= covered


ODD = (*NEUTRAL_WORDS[:4], " ", "\n", "ö", "🪿", "\u200b", "\u0301", "...", "[SEP]", "\x00", "Walk", "a" * 30)
odd_texts = st.lists(st.sampled_from(ODD), max_size=50).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda between: between.join(parts))
)


@pytest.mark.parametrize("make", [tiny_tokenizer, tiny_byte_tokenizer])
@pytest.mark.parametrize("pair", ["{prompt} {response}", "Q: {prompt} A: {response}", "{prompt}{response}"])
def test_no_row_is_too_long_whatever_the_characters(tmp_path, make, pair):
    make().save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path / "tokenizer.json")

    @settings(max_examples=40, deadline=None, database=None)
    @given(odd_texts, odd_texts, st.sampled_from([16, 24, 40]))
    def check(prompt, response, tokens):
        found = rule(tokens, pair).encode([pair_input(prompt, response)], tokenizer)
        assert found.lengths.max() <= tokens
        covered = {place for begin, end in found.spans.tolist() for place in range(begin, end)}
        lost = [said for place, said in enumerate(response) if place not in covered]
        assert not "".join(lost).strip(" \n\u200b\x00\u0301")

    check()


def test_a_template_that_fills_the_window_alone_does_not_cut_the_response_to_pieces(tokenizer):
    found = rule(8, "the the the the the the the the {response}").encode(
        [pair_input("river", "the small garden")], tokenizer
    )
    assert found.counts[0] <= 3  # one token each is all that is left; not one character each


def test_one_endless_word_is_not_read_again_for_every_window(tmp_path):
    """A word that no vocabulary holds is one token, however long."""
    asked = []

    class Listening(Tokenizer):
        def plain_ids(self, texts):
            asked.extend(texts)
            return super().plain_ids(texts)

    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    tokenizer = Listening(tmp_path / "tokenizer.json")
    rule(20, "{prompt} {response}").encode([pair_input("a" * 9000, "river " * 400)], tokenizer)
    assert sum(len(text) > 4000 for text in asked) == 1
