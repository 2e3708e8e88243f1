"""`modwright explain`: the words that moved a score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from modwright.cli.app import app
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.evaluation.explain import LabelEffects
    from modwright.evaluation.marking import Explained, Marked
    from modwright.pipeline.explain import Asked

_UP = ("", "on #f7e3d6", "on #f2c9b0", "on #eba77e", "bold on #e2864f")
_DOWN = ("", "on #dfeaf3", "on #c1d9eb", "on #9cc3e0", "underline on #6fa6d0")
_WORD = 28


@app.command("explain")
def command(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    source: Annotated[
        str, typer.Argument(metavar="TEXT|FILE", help="A text, or a JSONL file of texts or conversations.")
    ],
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label", metavar="LABEL", help="label or target/label; else what is flagged, or nearest to it."
        ),
    ] = None,
    operating_point: Annotated[
        str, typer.Option("--operating-point", help="Name of the thresholds that decide flags.")
    ] = "default",
    scorings: Annotated[
        int,
        typer.Option(
            "--scorings",
            min=8,
            help="Most scorings per text; a longer text is explained by the run of words.",
        ),
    ] = 256,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most lines of the file.")] = 50,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for explain.html and explain.jsonl.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Leave out one word after the other and show how the scores of the rest change."""
    from modwright.cli.view import print_json
    from modwright.pipeline.explain import Asked, explained_json, write_explanations

    asked = Asked(tuple(label or ()), operating_point, scorings)
    found = explain(artifact, source, asked, limit)
    written = (
        () if out is None else write_explanations(out, f"{artifact.resolve().name}: explanations", found)
    )
    if as_json:
        print_json(
            {"explanations": [explained_json(one) for one in found], "files": [str(path) for path in written]}
        )
        return
    if out is None:
        show(found)
    for path in written:
        print(path)


def explain(artifact: Path, source: str, asked: Asked, limit: int = 50) -> list[Explained]:
    """Load the artifact and explain a text, or the first lines of a JSONL file."""
    from modwright.pipeline.explain import explained, lines_of
    from modwright.serving.engine import Engine

    lines = lines_of(source, limit)
    engine = Engine.load(artifact, threads=load_settings().threads, bulk=True)
    return list(explained(engine, lines, asked))


def show(found: Sequence[Explained]) -> None:
    """Print explanations: the marked text, then the words that count and what is left without them."""
    console = Console(highlight=False, soft_wrap=True)
    for number, one in enumerate(found):
        if number:
            console.print()
        if len(found) > 1:
            console.print(Text(_line(one.name), style="bold"))
        for label in one.explanation.labels:
            _show_label(console, one, label)


def _show_label(console: Console, found: Explained, label: LabelEffects) -> None:
    from modwright.evaluation.marking import listed, marked, marked_plainly
    from modwright.render.words import shortened

    flagged = ", flagged" if (label.target, label.label) in found.flags else ""
    console.print(Text(_line(f"{label.target}/{label.label} {label.score:.3f}{flagged}"), style="italic"))
    turns = marked(found.explanation, label)
    console.print(_coloured(turns) if console.is_terminal else Text(marked_plainly(turns)))
    for word in listed(found.explanation, label):
        times = f" ({word.times} times)" if word.times > 1 else ""
        name = shortened(word.text, _WORD) + times
        console.print(
            Text(f"  {name:<{_WORD}} {word.effect:+6.2f}  score without it {word.score_without:.3f}")
        )
    if label.without_reasons is None or label.only_reasons is None:
        console.print(Text("  no single word raises this score"))
        return
    named = ", ".join(shortened(found.explanation.pieces[place].text, _WORD) for place in label.reasons)
    console.print(
        Text(f"  without {named}: {label.without_reasons:.3f}; with nothing else: {label.only_reasons:.3f}")
    )


def _coloured(turns: Sequence[Sequence[Marked]]) -> Text:
    from modwright.render.words import shown

    text = Text()
    for number, stretches in enumerate(turns):
        text.append("\n" if number else "")
        for stretch in stretches:
            style = (_UP if stretch.level > 0 else _DOWN)[abs(stretch.level)]
            text.append(shown(stretch.text), style=f"black {style}" if style else None)
    return text


def _line(text: str) -> str:
    from modwright.render.words import line

    return line(text)
