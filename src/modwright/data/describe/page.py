"""A dataset's description as one HTML page that needs nothing else, no network and no JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment

from modwright.data.describe import drawings, shares
from modwright.data.describe.description import Description
from modwright.render import pages

#: Larger matrices say nothing to the eye; describe.json has them.
MOST_MATRIX = 40


def describe_page(title: str, description: Description, facts: Mapping[str, Any]) -> str:
    """Return the page; the same arguments give the same bytes.

    Args:
        title: such as the dataset's folder.
        description: what `describe` returned.
        facts: about the dataset: name to text, number, list or a mapping of such.
    """
    colours = [
        shares.label_colours([split.targets[place] for split in description.splits])
        for place in range(len(description.schema.targets))
    ]
    template = _environment().get_template("describe.html")
    return template.render(
        title=title, found=description, facts=facts, colours=colours, most_matrix=MOST_MATRIX
    )


@cache
def _environment() -> Environment:
    made = pages.environment("modwright.data.describe")
    made.globals |= {"drawings": drawings, "shares": shares}
    return made
