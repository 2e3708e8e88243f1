"""Reads one uploaded file after the other as training data, beside the server: `python -m modwright.jobs.file_check`.

The rules are those of `modwright data import`, since the readers are the same; only what the rows say of labels is
kept, never a text, so that memory stays flat. `jobs.checking` starts such processes and talks to them: over the
socket that is their standard input comes a JSON line with the descriptor of a pipe, back goes a JSON line.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from pathlib import Path
from typing import Any

from modwright.data.jsonl import gather_jsonl
from modwright.data.labelling import with_claims
from modwright.data.options import Meaning, Reading
from modwright.data.problems import Problems
from modwright.data.rows import RowCollector
from modwright.errors import DataError
from modwright.jobs.file_summary import FileProblem, FileSummary, FoundTarget

_REQUEST_BYTES = 1 << 20
#: So many rows are remembered at once.
_FORGET_ROWS = 10_000
_FORM = 'one object per line: {"text": "…", "labels": {"moderation": ["insult"]}}'
#: Problems that are kept of a file whose wrong records are tolerated.
_TOLD_OF_SKIPPED = 20
#: Scoring comes first where processors are scarce.
_NICENESS = 5


class LineProblems(Problems):
    """Problems that also count the lines they are in."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = 0
        self._last: int | None = None

    def add(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
        count: int = 1,
    ) -> None:
        """Add one problem, or one that stands for `count` of its kind."""
        self._met(line)
        super().add(message, file=file, line=line, field=field, remedy=remedy, count=count)

    def add_error(self, error: DataError) -> None:
        """Add a problem that was already put into words."""
        self._met(error.line)
        super().add_error(error)

    def _met(self, line: int | None) -> None:
        if line is not None and line != self._last:
            self.lines, self._last = self.lines + 1, line


class Looker(RowCollector):
    """Checks records and keeps what they say of labels; of other keys only those that may hold labels.

    Whether a file is of OpenAI's form is seen at its first record: messages without labels.
    """

    def __init__(self, name: str, problems: Problems) -> None:
        super().__init__(name, Meaning(), problems)
        self.characters = self.sound = 0

    def add(self, line: int, record: dict[str, Any]) -> None:
        """Add one record; what is wrong with it becomes a problem."""
        if not self.lines and record.get("messages") is not None and _says_no_label(record):
            self.meaning = Meaning(openai=True)
        before = self.problems.total
        super().add(line, record)
        self.sound += self.problems.total == before
        _, text, messages, _ = self.inputs.pop()
        self.characters += len(text or "") + sum(len(message["content"]) for message in messages or ())
        others = self.others.pop()
        if not others.keys() <= self.keys.keys() and not self.has_room_for(dict.fromkeys(others)):
            self.keys = {}
        if not self.statements.targets:
            self.others.append({key: value for key, value in others.items() if _may_label(key)})
        elif len(self.lines) % _FORGET_ROWS == 0:
            self.statements.forget_rows()

    def targets(self) -> dict[str, FoundTarget]:
        """Return what the rows say of labels; labels that cannot be found or read become problems."""
        stated = self.statements.labels()
        if not stated and not self.problems.total:
            self.inputs = [(None, None, None, 1.0)] * len(self.others)
            (rows,) = with_claims([self.finish([])], self.meaning, self.problems)
            stated = {name: (claim.kind, tuple(claim.labels)) for name, claim in rows.claims.items()}
        return {name: FoundTarget(kind, labels) for name, (kind, labels) in stated.items()}


def _says_no_label(record: dict[str, Any]) -> bool:
    return not any(_may_label(key) and value is not None for key, value in record.items())


def _may_label(key: str) -> bool:
    """Say whether a key may hold labels: `labels`, `label` or TARGET/LABEL."""
    return key in ("labels", "label") or "/" in key


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found: a summary, or problems (the first 100 of `total`)."""

    summary: FileSummary | None
    problems: tuple[FileProblem, ...] = ()
    total: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON-ready data."""
        if self.summary is not None:
            return {"summary": self.summary.to_json()}
        return {"problems": [problem.to_json() for problem in self.problems], "total": self.total}


def check_file(path: Path, name: str, tolerated: float = 0.0) -> Outcome:
    """Read a file of training data.

    Args:
        path: the file, or a pipe; it is read once.
        name: what problems call it.
        tolerated: share of the records that may be wrong.
    """
    problems, notes = LineProblems(), list[str]()
    looker = Looker(name, problems)
    targets: dict[str, FoundTarget] = {}
    try:
        gather_jsonl(path, Reading(format="jsonl"), looker, notes)
        wrong = problems.lines
        targets = looker.targets()
        looker.sound -= problems.lines - wrong
    except DataError as error:
        problems.add_error(error)
        targets = {}
    records = looker.sound + problems.lines
    if problems.total and not (targets and problems.lines <= tolerated * records):
        return Outcome(None, tuple(_problem(error) for error in problems.kept), problems.total)
    notes += looker.conversations.notes()
    told = tuple(_problem(error) for error in problems.kept[:_TOLD_OF_SKIPPED])
    openai = looker.meaning.openai
    return Outcome(
        FileSummary(targets, records, problems.lines, looker.characters, openai, tuple(notes), told)
    )


def _problem(error: DataError) -> FileProblem:
    """Return a problem in words that fit a file that was uploaded: no options of a command line."""
    remedy = error.remedy
    if remedy is not None and "--" in remedy:
        remedy = "save it as UTF-8" if "--encoding" in remedy else _FORM
    return FileProblem(error.message, error.line, error.field, remedy)


def main() -> None:
    """Answer requests until the other end of the socket is closed."""
    os.nice(_NICENESS)
    with socket.socket(fileno=os.dup(0)) as asked:
        while True:
            request, descriptors, _, _ = socket.recv_fds(asked, _REQUEST_BYTES, 1)
            if not request:
                return
            told = json.loads(request)
            try:
                outcome = check_file(Path(f"/dev/fd/{descriptors[0]}"), told["name"], told["tolerated"])
            finally:
                os.close(descriptors[0])
            asked.sendall(json.dumps(outcome.to_json()).encode() + b"\n")


if __name__ == "__main__":
    main()
