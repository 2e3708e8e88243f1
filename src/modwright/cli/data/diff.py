"""`modwright data diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modwright.cli.data.group import data_app
from modwright.cli.data.options import AsJson
from modwright.render.words import line

if TYPE_CHECKING:
    from modwright.data.diff import DatasetDiff, Rate

_DIFFERENT = 1


@data_app.command("diff")
def diff_command(
    before: Annotated[Path, typer.Argument(metavar="A", help="Folder of the earlier dataset.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Folder of the later dataset.")],
    show: Annotated[
        int, typer.Option("--show", min=0, metavar="N", help="Rows of each change: ids and labels, no texts.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two datasets; leaves with 0 where their content is equal, with 1 where not."""
    from modwright.data.dataset import read_dataset
    from modwright.data.diff import diff_datasets

    diff = diff_datasets(read_dataset(before), read_dataset(after), show)
    if as_json:
        typer.echo(json.dumps(diff.to_json(), indent=2))
    else:
        _show(diff)
    if not diff.equal:
        raise typer.Exit(_DIFFERENT)


def _show(diff: DatasetDiff) -> None:
    """Print what changed, section by section; nothing is printed of what did not."""
    same = "the same content" if diff.equal else "different"
    typer.echo(f"{same}: {diff.before[:16]} and {diff.after[:16]}")
    rows = diff.rows
    _section("schema", diff.schema)
    _section("columns", [*diff.columns, *(_rows(n, f"another '{name}'") for name, n in rows.columns.items())])
    _section("rows", _row_words(diff))
    _show_labels(diff)
    _section("sources", diff.sources)
    _section("steps", diff.steps)
    for kind, examples in diff.examples.items():
        _section(kind, [json.dumps(example) for example in examples])


def _row_words(diff: DatasetDiff) -> list[str]:
    rows = diff.rows
    words = [f"{_sizes(rows.before)}; now {_sizes(rows.after)}"] if rows.before != rows.after else []
    words += [_rows(number, f"of '{split}' removed") for split, number in rows.removed.items()]
    words += [_rows(number, f"of '{split}' added") for split, number in rows.added.items()]
    words += [_rows(number, f"from '{one}' to '{other}'") for (one, other), number in rows.moved.items()]
    counts = {
        "same input, another id": rows.renumbered,
        "same id, another input": rows.edited,
        "other labels": rows.relabelled,
        "another weight": rows.reweighted,
        "another group": rows.regrouped,
    }
    words += [_rows(number, what) for what, number in counts.items() if number]
    return words + [f"the rows of '{split}' are in another order" for split in rows.reordered]


def _rows(number: int, what: str) -> str:
    return f"{number:,} row{'s' * (number != 1)}: {what}"


def _sizes(rows: dict[str, int]) -> str:
    return ", ".join(f"{split} {number:,}" for split, number in rows.items())


def _section(title: str, words: Any) -> None:
    if words:
        typer.echo(f"{title}:")
    for word in words:
        typer.echo(f"  {line(word)}")


def _show_labels(diff: DatasetDiff) -> None:
    """Print a table of the labels: rows that changed both ways, and rates before and after, by split."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    changed = [label for label in diff.labels if label.changed or label.before != label.after]
    if not changed:
        return
    table = Table(title="labels", title_justify="left")
    for name in ("label", "on", "off", "shifted", "learned", "forgotten", "split", "before", "after"):
        table.add_column(name, justify="left" if name in ("label", "split") else "right")
    for label in changed:
        counts = (label.on, label.off, label.shifted, label.learned, label.forgotten)
        cells = [f"{count:,}" if count else "" for count in counts]
        head = [escape(line(f"{label.target}/{label.label}")), *cells]
        for split in dict.fromkeys([*label.before, *label.after]):
            rates = [_rate(side.get(split)) for side in (label.before, label.after)]
            table.add_row(*head, escape(line(split)), *rates)
            head = [""] * len(head)
    Console(highlight=False).print(table)


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    return f"{rate.positives:,} of {rate.known:,}" + ("" if rate.share is None else f" ({rate.share:.2%})")
