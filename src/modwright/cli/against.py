"""Options of a comparison, and what comes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.errors import UsageError

if TYPE_CHECKING:
    from modwright.pipeline.against.specs import AgainstOptions
    from modwright.pipeline.against.wire import WireOptions
    from modwright.pipeline.proof import Measurement

Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="OTHER",
        help="Compare: an artifact's folder, 'majority', 'tfidf', [MODEL@]https://HOST, or llm:MODEL@URL.",
    ),
]
KeyVariable = Annotated[
    str | None,
    typer.Option(
        "--key-env", metavar="VARIABLE", help="Variable that holds the key of those over HTTP; else none."
    ),
]
TimeoutS = Annotated[
    float,
    typer.Option(
        "--ask-timeout",
        metavar="S",
        min=0.1,
        help="Seconds for a whole answer; after them a question has failed.",
    ),
]
Parallel = Annotated[
    int, typer.Option("--ask-parallel", metavar="N", min=1, help="Questions at once over HTTP.")
]
MostRows = Annotated[
    int | None,
    typer.Option("--ask-rows", metavar="N", min=1, help="Rows that those over HTTP are asked for; else all."),
]
TheirLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--their-label", metavar="THEIRS=OURS", help="An endpoint's label that has another name here."
    ),
]


def wire_options(key_variable: str | None, timeout_s: float, parallel: int) -> WireOptions:
    """Return how servers are asked."""
    from modwright.pipeline.against.wire import WireOptions

    return WireOptions(key_variable, timeout_s, parallel)


def against_options(
    wire: WireOptions, most_rows: int | None, their_labels: Sequence[str] | None
) -> AgainstOptions:
    """Return how others are asked; raises UsageError for a label without its other name."""
    from modwright.pipeline.against.specs import AgainstOptions

    renames = {}
    for value in their_labels or ():
        theirs, equals, ours = value.partition("=")
        if not (theirs and equals and ours):
            raise UsageError(
                f"--their-label is {value!r}, expected THEIRS=OURS", remedy="put '=' between the two"
            )
        renames[theirs] = ours
    return AgainstOptions(wire, renames, most_rows)


def against_measurements(specs: Sequence[str] | None, options: AgainstOptions) -> list[Measurement]:
    """Return the measurement that compares with all of them; none where there is nothing to compare with."""
    if not specs:
        return []
    from modwright.pipeline.comparing import against
    from modwright.settings import load_settings

    return [against(specs, load_settings(), options)]
