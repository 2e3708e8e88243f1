"""A text's features depend on the text alone: not on order, batch, mates, cache or what was killed before."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modwright.errors import ArtifactError
from modwright.models.embedding_cache import EmbeddingCache
from modwright.models.features import Featuriser, FrozenBase, context_text
from modwright.models.runtime import length_batches
from modwright.models.tokens import Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.schema import Message, Role, pair_input, text_input
from modwright.testing import tiny_texts

RULE = WindowRule(16, 0.5, SingleLabelRule.WORST)
ODD_TEXTS = [
    "",
    " ",
    "\n\t",
    "\x00",
    "a\x00b",
    "☃☃ ☃",
    "🦆🦆🪿 👩‍👩‍👧‍👦",
    "стая гусей у реки",
    "河边的鹅",
    "الأوزة بجانب النهر",
    "e\u0301 cafe\u0301",
    "\ud800 half a character \udfff",
    "[CLS] [SEP] [PAD]",
    "goose" * 50,
    "x" * 5000,
    "the silly goose " * 40,
]
exhaustive = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts_of_words = st.lists(
    st.lists(st.sampled_from(["the", "goose", "silly", "river", "zq", "🦆", "x1"]), max_size=9).map(" ".join),
    min_size=1,
    max_size=12,
)


@given(texts=texts_of_words, budget=st.sampled_from([16, 40, 4096]), data=st.data())
@exhaustive
def test_batches_order_and_mates_change_nothing(tiny_base, texts, budget, data):
    alone = np.concatenate([tiny_base.embed([text], max_batch_tokens=1) for text in texts])
    order = data.draw(st.permutations(range(len(texts))))
    mixed = tiny_base.embed([texts[row] for row in order], max_batch_tokens=budget)
    assert np.abs(mixed - alone[list(order)]).max() < 1e-6


@given(texts=texts_of_words, budget=st.sampled_from([16, 40, 4096]), data=st.data())
@exhaustive
def test_with_a_cache_the_bits_do_not_depend_on_what_was_cached_before(
    tiny_base, tmp_path_factory, texts, budget, data
):
    """So a run that was killed half-way and started again ends in the same artifact."""
    fresh = EmbeddingCache(tmp_path_factory.mktemp("fresh"), tiny_base.width)
    whole = tiny_base.embed(texts, max_batch_tokens=budget, cache=fresh)
    folder = tmp_path_factory.mktemp("resumed")
    before = data.draw(st.lists(st.sampled_from(texts), max_size=len(texts)))
    tiny_base.embed(before, max_batch_tokens=4096, cache=EmbeddingCache(folder, tiny_base.width))
    resumed = tiny_base.embed(texts, max_batch_tokens=budget, cache=EmbeddingCache(folder, tiny_base.width))
    assert np.array_equal(resumed, whole)


def test_the_cache_is_read_and_not_only_written(tiny_base, tmp_path):
    cache = EmbeddingCache(tmp_path, tiny_base.width)
    planted = np.full((1, tiny_base.width), 0.5, dtype=np.float32)
    cache.put(["the river"], planted)
    found = tiny_base.embed(
        ["the goose", "the river"], max_batch_tokens=64, cache=EmbeddingCache(tmp_path, tiny_base.width)
    )
    assert np.array_equal(found[1:], planted)
    assert not np.array_equal(found[:1], planted)


def test_a_damaged_or_foreign_cache_file_is_passed_over(tiny_base, tmp_path):
    expected = tiny_base.embed(
        ["the goose"], max_batch_tokens=64, cache=EmbeddingCache(tmp_path, tiny_base.width)
    )
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:50])
    assert EmbeddingCache(tmp_path, tiny_base.width).get(["the goose"]) == {}
    again = tiny_base.embed(
        ["the goose"], max_batch_tokens=64, cache=EmbeddingCache(tmp_path, tiny_base.width)
    )
    assert np.array_equal(again, expected)
    assert EmbeddingCache(tmp_path, tiny_base.width + 1).get(["the goose"]) == {}
    assert not list(tmp_path.glob(".*"))


def test_truncation_and_padding_in_the_file_are_switched_off(tiny_base):
    saved = json.loads(tiny_base.tokenizer_path.read_text())
    assert saved["truncation"]["max_length"] == 16, "the file would cut: else this test shows nothing"
    assert saved["padding"] is not None
    assert tiny_base.tokenizer.lengths(["goose", "goose " * 300]) == [3, 302]


@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_odd_texts_have_finite_features_of_their_own(tiny_base, text):
    featuriser = Featuriser([tiny_base], RULE, uses_context=False, max_batch_tokens=256)
    features = featuriser([text_input("the goose"), text_input(text), text_input("my river")])
    assert np.isfinite(features.rows).all()
    begin, end = int(features.starts[1]), int(features.starts[2])
    alone = featuriser([text_input(text)])
    assert np.abs(features.rows[begin:end] - alone.rows).max() < 1e-6
    spans = alone.spans
    assert (spans[:, 0] <= spans[:, 1]).all()
    assert spans.min() >= 0
    assert spans.max() <= len(text)
    assert np.allclose(np.linalg.norm(alone.rows, axis=1), 1.0, atol=1e-5)


def test_a_hundred_thousand_characters_are_scored_whole(tiny_base):
    text = "the green river " * 6250
    assert len(text) == 100_000
    features = Featuriser([tiny_base], RULE, uses_context=False, max_batch_tokens=4096)([text_input(text)])
    assert features.counts[0] > 1000
    assert features.spans[-1, 1] == len(text.rstrip())


def test_the_context_stands_beside_the_last_turn(tiny_base):
    featuriser = Featuriser([tiny_base], RULE, uses_context=True, max_batch_tokens=256)
    width = tiny_base.width
    plain, paired, other = featuriser(
        [text_input("the goose"), pair_input("my river", "the goose"), pair_input("a letter", "the goose")]
    ).rows
    assert np.abs(plain[:width] - paired[:width]).max() < 1e-6
    assert not plain[width:].any()
    assert np.abs(paired[width:] - other[width:]).max() > 1e-3
    river = featuriser([text_input("my river")]).rows[0]
    assert np.abs(paired[width:] - river[:width]).max() < 1e-6


def test_a_long_context_is_the_mean_of_its_windows_and_dilutes_no_turn(tiny_base):
    featuriser = Featuriser([tiny_base], RULE, uses_context=True, max_batch_tokens=256)
    context = "the river " * 40
    value = pair_input(context, "goose")
    windows = RULE.cut([context], [tiny_base.tokenizer])[0]
    assert len(windows) > 2
    parts = [
        featuriser([text_input(context[begin:end])]).rows[0, : tiny_base.width] for begin, end in windows
    ]
    assert np.abs(featuriser([value]).rows[0, tiny_base.width :] - np.mean(parts, axis=0)).max() < 1e-6


def test_the_context_is_every_turn_before_the_last():
    turns = (Message(Role.SYSTEM, "one"), Message(Role.USER, "two"), Message(Role.ASSISTANT, "three"))
    assert context_text(turns) == "one\ntwo"
    assert context_text(text_input("alone")) == ""


def test_equal_texts_are_embedded_once(tiny_base):
    told = []
    featuriser = Featuriser([tiny_base], RULE, uses_context=False, max_batch_tokens=256)
    featuriser([text_input("the goose")] * 20, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 40), max_size=60), most=st.integers(1, 200))
def test_length_batches_hold_every_row_once_and_one_length_each(lengths, most):
    batches = length_batches(lengths, most)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[row] for row in batch}) == 1
        assert len(batch) == 1 or sum(lengths[row] for row in batch) <= most


def test_a_file_that_is_no_tokenizer_is_an_artifact_error(tmp_path):
    for content in (None, "{}", "not json"):
        path = tmp_path / "tokenizer.json"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ArtifactError, match="is not a tokenizer"):
            Tokenizer(path)


def test_two_runs_keep_embeddings_of_the_same_texts_at_once(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache", 3)
    texts = [f"goose {number}" for number in range(200)]
    values = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    with ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(EmbeddingCache(tmp_path / "cache", 3).put, texts, values) for _ in range(40)
        ]:
            done.result()
    found = cache.get(texts)
    assert all((found[row] == values[row]).all() for row in range(200))
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".safetensors"]


def test_batches_side_by_side_give_the_very_bits(tiny_base, tiny_base_folder, tmp_path):
    texts = tiny_texts(60, words=30)
    bulk = FrozenBase(
        name="tiny",
        graph_folder=tiny_base.graph_path.parent,
        tokenizer_folder=tiny_base.tokenizer_path.parent,
        layers=tiny_base.layers,
        max_tokens=tiny_base.max_tokens,
        threads=3,
        bulk=True,
    )
    told = []
    found = bulk.embed(texts, max_batch_tokens=40, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(found, tiny_base.embed(texts, max_batch_tokens=40))
    assert told[-1] == (60, 60)
    assert told == sorted(told)
