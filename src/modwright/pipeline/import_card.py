"""The model card of a classifier that was trained elsewhere: where it came from, and what is not known of it."""

from __future__ import annotations

from modwright.artifact import BaseIdentity
from modwright.evaluation.decisions import Decisions
from modwright.pipeline.card import in_blocks
from modwright.pipeline.card_decisions import answers
from modwright.pipeline.published import Published
from modwright.recipe import ImportRecipe
from modwright.render.markdown import plain
from modwright.schema import Schema

_UNMEASURED = """\
Nothing was measured on import. `modwright evaluate` measures it on rows of your own, and its scores are as published:
neither calibrated nor thresholded on anything here."""

_LIMITS = """\
## Limits

- It judges text alone: not images, links, or who is speaking to whom.
- What it learned from is not known here; its own card, where it came from, says more, and its licence holds.
- Use it to help people decide. It was not shown to be fair across dialects, languages or groups."""


def imported_card(
    name: str,
    schema: Schema,
    identity: BaseIdentity,
    recipe: ImportRecipe,
    published: Published,
    hub: str,
    decisions: Decisions,
) -> str:
    """Return the card as Markdown."""
    where = f"the hub repository `{plain(hub)}`" if hub else f"the folder `{plain(identity.name)}`"
    stated = published.problem_type or "not stated, given on import"
    parts = [
        f"# {plain(name)}",
        f"A text classifier trained elsewhere, brought in from {where} as it is.",
        "## What it answers",
        *answers(schema, decisions, plain),
        "## How good it is",
        _UNMEASURED,
        "## Made from",
        f"- `{plain(identity.name)}`, licence {plain(identity.licence)}, weights sha256 `{identity.weights_sha256[:16]}…`",
        f"- architecture {plain(published.architecture)}, problem type {plain(stated)}",
        f"- its own labels, in order: {', '.join(map(plain, published.labels))}",
        f"- a prompt and its response are handed to it as `{plain(recipe.input.pair)}`",
        _LIMITS,
    ]
    return "\n\n".join(in_blocks(parts)) + "\n"
