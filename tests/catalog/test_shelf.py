"""The entries: complete, consistent, and the identities that were measured."""

from __future__ import annotations

import re

import pytest

from modwright import catalog
from modwright.catalog.entries import Entry, HubSource, IndexSource

ENTRIES: list[Entry] = [*catalog.BASES, *catalog.DATA_SETS]
IDENTITIES = {
    "all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "all-mpnet-base-v2": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    "SmolLM2-135M-Instruct": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "gemma-3-270m": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_source_covers_every_required_file(entry: Entry) -> None:
    assert entry.sources
    for source in entry.sources:
        if isinstance(source, HubSource):
            continue
        files = {piece.file for wheel in source.wheels for piece in wheel.pieces}
        if source.archive is not None:
            assert files == {source.archive.file}
            files = set(source.archive.members)
        assert set(entry.required) <= files
        assert files <= {pin.name for pin in entry.files}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_hash_is_one_and_every_size_is_positive(entry: Entry) -> None:
    wheels = [wheel for s in entry.sources if isinstance(s, IndexSource) for wheel in s.wheels]
    for pinned in (*entry.files, *wheels):
        assert re.fullmatch(r"[0-9a-f]{64}", pinned.sha256)
        assert pinned.size_bytes > 0
    hashes = [pinned.sha256 for pinned in (*entry.files, *wheels)]
    assert len(hashes) == len(set(hashes))


def test_names_and_aliases_are_unique_whatever_the_case() -> None:
    names = [name.casefold() for entry in ENTRIES for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))


def test_the_identities_are_those_of_the_upstream_weights() -> None:
    assert {base.name: base.sha256(base.weights) for base in catalog.BASES} == IDENTITIES


@pytest.mark.parametrize("name", ["minilm", "MINILM", "MiniLM-L6", "sentence-transformers/all-MiniLM-L6-v2"])
def test_a_base_answers_to_its_aliases(name: str) -> None:
    assert catalog.base(name).name == catalog.DEFAULT_BASE


def test_lengths_and_normalising_follow_the_upstream_settings() -> None:
    minilm, mpnet = catalog.base("minilm"), catalog.base("mpnet")
    assert (minilm.max_tokens, minilm.max_positions, minilm.pooling, minilm.normalise) == (
        256,
        512,
        "mean",
        True,
    )
    assert (mpnet.max_tokens, mpnet.max_positions, mpnet.pooling, mpnet.normalise) == (384, 512, "mean", True)


def test_restricted_terms_are_marked_and_the_terms_come_with_the_weights() -> None:
    restricted = [base for base in catalog.BASES if base.terms is not None]
    assert [base.name for base in restricted] == ["gemma-3-270m"]
    for base in restricted:
        assert base.terms is not None
        assert base.required[base.terms.file] == base.terms.sha256
