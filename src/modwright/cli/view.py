"""What commands show while they work: bars and lines on standard error, results on standard output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from modwright.catalog import TerminalProgress
from modwright.cli.meter import RunMeter, look_line
from modwright.evaluation.metrics import SplitEvaluation
from modwright.evaluation.report import SummaryRow, summary_rows
from modwright.render.words import line
from modwright.training.events import Chosen, Event, Looked, Resumed, RunStarted, Stage, Step, Tracked, Warned

_PIPE_WIDTH = 120
_ENDLESS = 10_000
_BAR_WIDTH = 24
#: The spinner, the time elapsed and the blanks between columns.
_COLUMN_EDGES = 14
_HEADINGS = ("rows", "positive", "F1 (95 %)", "all flagged", "ROC-AUC (95 %)", "ECE (95 %)")
#: Left out where a terminal is too narrow, in this order; metrics.json has them all.
_LEAST_MISSED = ("all flagged", "ECE (95 %)", "rows")


class RunView:
    """Shows a run: one line that moves on a terminal, one line per stage elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._shown_stage = ""
        self.catalog = TerminalProgress(self._console)
        self.first_loss: float | None = None
        self.last: Step | None = None
        self._meter: RunMeter | None = None

    def __enter__(self) -> RunView:
        self.catalog.__enter__()
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()
        self.catalog.__exit__(*exception)

    def on_event(self, event: Event) -> None:
        """Show one event of a trainer."""
        if isinstance(event, Stage):
            self._stage(event.name, event.done, event.total)
        elif isinstance(event, Step):
            self._step(event)
        elif isinstance(event, (RunStarted, Looked, Resumed)):
            self._run(event)
        elif isinstance(event, Chosen):
            self.say(
                f"head of '{event.target}': {event.kind}, C {event.c:g}, log-loss out of fold {event.log_loss:.4f}"
            )
        elif isinstance(event, Tracked):
            self.say(f"{event.tracker} shows it as '{event.name}'{f': {event.url}' if event.url else ''}")
        elif isinstance(event, Warned):
            self.say(f"warning: {event.message}")

    def _step(self, step: Step) -> None:
        self.first_loss = step.train_loss if self.first_loss is None else self.first_loss
        self.last = step
        if self._meter is not None:
            self._meter.step(step)
            self._show_meter(self._meter)
            return
        valid = "" if step.valid_loss is None else f", validation {step.valid_loss:.4f}"
        self._stage("fit", 0, 0, f"step {step.number}, loss {step.train_loss:.4f}{valid}")

    def _run(self, event: RunStarted | Looked | Resumed) -> None:
        if isinstance(event, RunStarted):
            self._meter = RunMeter(event)
            self._stage(event.name, 0, event.steps, f"{event.steps:,} steps")
        elif isinstance(event, Resumed):
            self.say(f"goes on after step {event.step:,}")
        else:
            self.say(look_line("" if self._meter is None else self._meter.name, event))
            if self._meter is not None:
                self._meter.look(event)
                self._show_meter(self._meter)

    def _show_meter(self, meter: RunMeter) -> None:
        room = self._console.width - len(meter.name) - _BAR_WIDTH - _COLUMN_EDGES
        self._stage(meter.name, meter.done, meter.total, meter.detail(room))

    def on_texts(self, done: int, total: int) -> None:
        """Show how many texts are embedded."""
        self._stage("embed", done, total, f"{done:,} of {total:,} texts")

    def on_scored(self, split: str, done: int, total: int) -> None:
        """Show how many rows of a split are scored."""
        self._stage(f"score {split}", done, total, f"{done:,} of {total:,} rows")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if not self._quiet:
            whole = not self._console.is_terminal  # a pipe's line is one line, however wide
            self._console.print(escape(line(text)), highlight=False, soft_wrap=whole)

    def _stage(self, name: str, done: int, total: int, detail: str = "") -> None:
        if not self._console.is_terminal and name != self._shown_stage:
            self._shown_stage = name
            self.say(name)
        if self._task is None:
            self._task = self._bars.add_task(name, total=total or None, detail=detail)
        self._bars.update(
            self._task, description=escape(name), completed=done, total=total or None, detail=escape(detail)
        )


@contextmanager
def run_view(*, quiet: bool) -> Iterator[RunView]:
    """Give a view for the time of a run."""
    with RunView(quiet=quiet) as view:
        yield view


def print_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object for machines."""
    print(json.dumps(data, ensure_ascii=False, allow_nan=False))


def print_metrics(evaluations: Mapping[str, SplitEvaluation], notes: Sequence[str] = ()) -> None:
    """Print a table of labels with their figures; a label without enough evidence says so below it."""
    found = Console()
    console = found if found.is_terminal else Console(width=max(found.width, _PIPE_WIDTH))
    rows = summary_rows(dict(evaluations))
    for split, target in dict.fromkeys((row.split, row.target) for row in rows):
        chosen = [row for row in rows if (row.split, row.target) == (split, target)]
        console.print(escape(line(f"{target}, split {split}")), style="italic", highlight=False)
        console.print(_fitting(console, chosen))
        if any(_mark(row) for row in chosen):
            console.print(
                "* not enough evidence: under 10 positives or negatives", style="dim", highlight=False
            )
        console.print()
    for note in notes:
        console.print(escape(line(f"note: {note}")), highlight=False)


def _fitting(console: Console, rows: Sequence[SummaryRow]) -> Table:
    """Return a table without the columns that a narrow terminal has no room for: no figure is ever broken up."""
    headings = list(_HEADINGS)
    table = _table(rows, headings)
    endless = console.options.update(width=_ENDLESS)
    for heading in _LEAST_MISSED:
        if Measurement.get(console, endless, table).maximum <= console.width:
            break
        headings.remove(heading)
        table = _table(rows, headings)
    return table


def _table(rows: Sequence[SummaryRow], headings: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("label", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = (row.rows, row.positives, row.f1, row.always_flag_f1, row.roc_auc, row.ece)
        shown = [cell for heading, cell in zip(_HEADINGS, cells, strict=True) if heading in headings]
        mark = _mark(row)
        table.add_row(
            escape(line(row.label) + mark),
            *(escape(_short(cell)) for cell in shown),
            style="dim" if mark else None,
        )
    return table


def _mark(row: SummaryRow) -> str:
    return " *" if "not enough" in row.note else ""


def _short(cell: str) -> str:
    """Return a figure with its interval so that a row fits a terminal: 0.71 (0.62 to 0.80) as 0.71 0.62–0.80."""
    return str(cell).replace(" to ", "–").replace("(", "").replace(")", "")
