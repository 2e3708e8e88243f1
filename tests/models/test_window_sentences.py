"""Windows follow sentences, reach the end of a text as if it stood alone, and stay few whatever the text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.models.tokens import Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule, _cut_tokens
from modwright.testing import tiny_tokenizer

EDGES = (0.75, 0.5, 0.35)
HOSTILE = {
    "sentences of one letter": "a. b. c. " * 3000,
    "stops and blanks": ". " * 10_000,
    "one word": "x" * 50_000,
    "a word and one word": "goose " + "x" * 50_000,
    "dots": "." * 20_000,
    "wide stops": "。" * 20_000,
    "emoji": "🪿" * 5_000,
    "joined emoji": "👩‍👩‍👧‍👦 " * 2_000,
    "nothing": "\x00" * 20_000,
    "nothing between words": "goose\x00. " * 3_000,
    "lines": "\n" * 20_000,
    "blanks": " " * 20_000,
    "words and lines": "goose\n" * 5_000,
    "half characters": "\ud800. " * 3_000,
    "long words": ("zq" * 7 + ". ") * 1_500,
}


def saved(backend: Any, folder: Any) -> Tokenizer:
    path = folder / "tokenizer.json"
    backend.save(str(path))
    return Tokenizer(path)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Tokenizer:
    """Whole words and single characters, two special tokens."""
    return saved(tiny_tokenizer(), tmp_path_factory.mktemp("pieces"))


@pytest.fixture(scope="module", params=["pieces", "bytes", "bytes with their space", "unigram"])
def tokenizer(request, tmp_path_factory, pieces) -> Tokenizer:
    """Tokenizers that leave spaces out, make tokens of them, and give them to the word that follows."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    if request.param == "pieces":
        return pieces
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    if request.param == "unigram":
        characters = ["<unk>", "▁", "▁the", "▁goose", *sorted(set("thegooseriver3.5!?。\n你好鹅"))]
        backend = Backend(models.Unigram([(piece, -1.0) for piece in dict.fromkeys(characters)], 0))
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
    else:
        merges = []
        if request.param == "bytes with their space":
            merges = [("Ġ", letter) for letter in "tgr"]
            vocabulary |= {f"Ġ{letter}": len(vocabulary) + n for n, letter in enumerate("tgr")}
        backend = Backend(models.BPE(vocabulary, merges))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return saved(backend, tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize(
    "sentences",
    [
        ["the goose. ", "the river"],
        ["goose! ", "the river"],
        ["goose? ", "the river!\n", "goose"],
        ["the goose\n", "river"],
        ["the goose \n\n ", "river\r\n", "goose"],
        ["the goose... ", "river?! ", "goose."],
        ["你好。", "鹅。", "你"],
        ["你好。。。", "鹅！ ", "你"],
        ["the 3.5 rivers. ", "3.5"],
        ["the river.the goose"],
        ["3.5"],
        ["the goose,the river; the goose: the river"],
        ["the goose. \u200b", "the river"],
    ],
    ids=range(13),
)
def test_sentences_start_after_a_stop_and_a_blank_a_line_or_a_wide_stop(tokenizer, sentences):
    text = "".join(sentences)
    expected = [sum(map(len, sentences[:number])) for number in range(len(sentences))]
    spans = tokenizer.spans([text])[0]
    assert [span.begin for span in spans if span.starts_sentence] == expected
    assert all(span.starts_word for span in spans if span.starts_sentence)


def test_a_token_that_holds_the_space_before_it_begins_at_its_word(tokenizer):
    text = "the goose  the river"
    assert all(
        not text[span.begin].isspace() or text[span.begin : span.end].isspace()
        for span in tokenizer.spans([text])[0]
    )


def long_sentences(most: int) -> Any:
    """Sentences of 1 to `most` words of one token, with their stop and blank."""
    word = st.sampled_from(["the", "goose", "silly", "river", "garden"])
    stop = st.sampled_from([". ", "! ", "? ", ".\n", "\n"])
    return st.tuples(st.lists(word, min_size=1, max_size=most).map(" ".join), stop).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    prefix=st.lists(long_sentences(25), min_size=1, max_size=20),
    last=st.lists(st.sampled_from(["you", "silly", "goose", "river"]), min_size=1, max_size=5).map(" ".join),
    stop=st.sampled_from(["", ".", "!", "?"]),
    tokens=st.integers(24, 40),
    overlap=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_a_last_sentence_is_scored_exactly_alone_behind_any_punctuated_prefix(
    pieces, prefix, last, stop, tokens, overlap
):
    sentence = last + stop
    text = "".join(prefix) + sentence
    (windows,) = WindowRule(tokens, overlap, SingleLabelRule.WORST, EDGES).cut([text], [pieces])
    if pieces.lengths([text])[0] <= tokens:
        assert windows == [(0, len(text))]
    else:
        assert sentence in [text[begin:end] for begin, end in windows]


def test_a_last_sentence_as_long_as_a_window_is_scored_alone_too(pieces):
    last = "silly goose " * 5
    text = "the river. garden. " + last.strip()
    (windows,) = WindowRule(12, 0.5, SingleLabelRule.WORST).cut([text], [pieces])
    assert last.strip() in [text[begin:end] for begin, end in windows]


def test_windows_begin_and_end_at_sentences_that_are_in_reach(pieces):
    sentence = "the silly goose went near the river"
    text = ". ".join([sentence] * 30) + "."
    (windows,) = WindowRule(26, 0.5, SingleLabelRule.WORST).cut([text], [pieces])
    assert len(windows) > 10
    for begin, end in windows:
        assert text[begin:end] in {". ".join([sentence] * number) + "." for number in (1, 2, 3)}


@pytest.mark.parametrize("words", [1, 10, 11, 39, 40, 41, 100])
def test_edges_are_scored_only_in_texts_of_more_than_four_windows(pieces, words):
    text = " ".join(["goose"] * words)
    plain = WindowRule(12, 0.5, SingleLabelRule.WORST).cut([text], [pieces])[0]
    (windows,) = WindowRule(12, 0.5, SingleLabelRule.WORST, EDGES).cut([text], [pieces])
    added = [text[begin:end].split() for begin, end in sorted(set(windows) - set(plain))]
    assert set(plain) <= set(windows)
    assert sorted(map(len, added)) == ([3, 3, 5, 5, 7, 7] if words > 40 else [])
    if words > 40:
        assert sum(begin == 0 for begin, _ in windows) == 4
        assert sum(end == len(text) for _, end in windows) == 4


@pytest.mark.parametrize("share", EDGES)
def test_no_edge_is_longer_than_a_window(pieces, share):
    text = "goose " + "zq" * 45 + " " + "zq" * 45
    rule = WindowRule(14, 0.5, SingleLabelRule.WORST, (share,))
    spans = pieces.spans([text])[0]
    assert len(spans) > 48
    for begin, end in rule._edges(spans, 12):
        assert 3 <= pieces.lengths([text[begin:end]])[0] <= 14


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("budget", [15, 30, 126])
def test_windows_stay_few_for_hostile_texts_and_cover_every_token(tokenizer, text, budget):
    spans = tokenizer.spans([text])[0]
    rule = WindowRule(budget + tokenizer.specials, 0.5, SingleLabelRule.WORST, EDGES)
    found = (
        [*_cut_tokens(spans, budget, budget // 2), *rule._edges(spans, budget)] if len(spans) > budget else []
    )
    assert len(found) <= 8 * len(spans) / budget + 8 + 2 * len(EDGES)
    covered = np.zeros(len(text), dtype=bool)
    for begin, end in found:
        covered[begin:end] = True
    assert not found or all(covered[span.begin : span.end].all() for span in spans)


@pytest.mark.parametrize(
    "name", ["sentences of one letter", "one word", "dots", "emoji", "nothing between words"]
)
def test_hostile_texts_are_cut_repeatably_into_windows_that_fit(tokenizer, name):
    text = HOSTILE[name][:6000]
    rule = WindowRule(40, 0.5, SingleLabelRule.WORST, EDGES)
    (windows,) = rule.cut([text], [tokenizer])
    assert windows == rule.cut([text], [tokenizer])[0]
    assert windows == sorted(set(windows))
    assert max(tokenizer.lengths([text[begin:end] for begin, end in windows])) <= 40
    assert len(windows) <= 2 * (8 * len(tokenizer.spans([text])[0]) / 38 + 8 + 2 * len(EDGES))


class Counted(list[Any]):
    """A list that counts how often it is looked into."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("name", HOSTILE)
def test_cutting_takes_steps_in_proportion_to_the_text(tokenizer, name):
    def looks(text: str) -> int:
        spans = Counted(tokenizer.spans([text])[0])
        rule = WindowRule(42, 0.5, SingleLabelRule.WORST, EDGES)
        if len(spans) > 40:
            assert [*_cut_tokens(spans, 40, 20), *rule._edges(spans, 40)]
        return spans.looks

    text = HOSTILE[name]
    half, whole = looks(text[: len(text) // 2]), looks(text)
    assert whole <= 2.1 * half + 2000


def test_the_tokenizer_reads_a_text_a_few_times_and_not_once_per_window(pieces, monkeypatch):
    read = []
    lengths = Tokenizer.lengths
    monkeypatch.setattr(
        Tokenizer, "lengths", lambda self, texts: read.extend(map(len, texts)) or lengths(self, texts)
    )
    text = "the silly goose went near the river. " * 500
    WindowRule(40, 0.5, SingleLabelRule.WORST, EDGES).cut([text], [pieces])
    assert sum(read) < 5 * len(text)
