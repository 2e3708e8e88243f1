"""Writes over an old dataset or export and is killed, at every step it takes and at random moments.

    python killed_writer.py dataset|export FOLDER

Prints one JSON object per kill: at which event, and the ids of what is found after it and after writing again. Every
writer and reader is a fork of its own, made before polars has started a thread.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, make_dataset, read_dataset, write_dataset
from modwright.data.export import ExportFormat, ExportOptions, export_dataset
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.data.recorded import read_recorded
from modwright.data.tables import MESSAGES_TYPE
from modwright.files import has_leftovers
from modwright.schema import Schema, Target, TargetKind

#: What the interpreter tells of before it touches a file.
EVENTS = ("open", "os.", "shutil.", "pathlib.", "ctypes.")
MOST_EVENTS = 120
RANDOM_KILLS = 12


def dataset(mark: str, rows: int) -> Dataset:
    """Return a dataset whose rows all say the mark."""
    frame = pl.DataFrame(
        {
            "id": pl.Series(range(rows)).cast(pl.String),
            "text": [f"{mark} goose {row}" for row in range(rows)],
            "messages": pl.Series([None] * rows, dtype=MESSAGES_TYPE),
            "weight": [1.0] * rows,
            "group": pl.Series([None] * rows, dtype=pl.String),
            "source": ["f:1"] * rows,
            "t/x": [1.0] * rows,
        }
    )
    schema = Schema((Target.create("t", TargetKind.MULTI_LABEL, ("x",)),))
    return make_dataset(schema, {"train": frame, "test": frame[: rows // 2]}, {})


def write(mode: str, mark: str, folder: Path, rows: int) -> None:
    """Write a dataset or an export over what is there."""
    made = dataset(mark, rows)
    if mode == "dataset":
        write_dataset(made, folder, replace=True)
    else:
        export_dataset(made, ExportOptions(ExportFormat.FACTORY, folder, replace=True))


def read(mode: str, folder: Path) -> str:
    """Return the id of what is there; raises where that is not whole."""
    if mode == "dataset":
        return read_dataset(folder).id
    manifest = json.loads((folder / "export.json").read_text())
    files = tuple((split, str(folder / file["file"])) for split, file in manifest["files"].items())
    meaning = Meaning(recorded=read_recorded(folder))
    found = load_dataset(ImportOptions((), folder, files, meaning=meaning)).dataset.id
    assert found == manifest["dataset"]
    return found


def forked(work, answer: bool = False, kill_after_s: float | None = None) -> tuple[int, str]:
    """Do work in a fork; return its status and what it answers."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        try:
            text = work()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(theirs, (text or "").encode() if answer else b"")
        os._exit(0)
    os.close(theirs)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(ours, "rb") as stream:
        return status, stream.read().decode()


def killed_at(event: int, folder: Path) -> None:
    """Have this process killed before its n-th step beside or below the folder."""
    seen = 0
    inside = str(folder.parent)

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if name.startswith(EVENTS) and (name.startswith("ctypes") or inside in str(arguments)):
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(mode: str, folder: Path) -> None:
    rows = 50
    for event in range(1, MOST_EVENTS):
        forked(lambda: write(mode, "old", folder, rows))

        def victim(event: int = event) -> None:
            killed_at(event, folder)
            write(mode, "new", folder, rows)

        status, _ = forked(victim)
        report(mode, folder, rows, f"event {event}", killed=os.WIFSIGNALED(status))
        if not os.WIFSIGNALED(status):
            break
    rows = 40_000
    began = time.monotonic()
    forked(lambda: write(mode, "old", folder, rows))
    usual_s = time.monotonic() - began
    chance = random.Random(7)
    for _ in range(RANDOM_KILLS):
        forked(lambda: write(mode, "old", folder, rows))
        moment_s = chance.uniform(0, 1.5 * usual_s)
        status, _ = forked(lambda: write(mode, "new", folder, rows), kill_after_s=moment_s)
        report(mode, folder, rows, f"{moment_s:.3f} s", killed=os.WIFSIGNALED(status))


def report(mode: str, folder: Path, rows: int, moment: str, *, killed: bool) -> None:
    """Print what is there after a kill, and after writing once more."""
    found = forked(lambda: read(mode, folder), answer=True)[1]
    forked(lambda: write(mode, "again", folder, rows))
    again = forked(lambda: read(mode, folder), answer=True)[1]
    left = [path.name for path in folder.parent.iterdir() if path != folder]
    ids = {
        mark: forked(lambda mark=mark: dataset(mark, rows).id, answer=True)[1]
        for mark in ("old", "new", "again")
    }
    named = {identity: mark for mark, identity in ids.items()}
    state = {"found": named.get(found, found), "again": named.get(again, again)}
    clean = not left and not has_leftovers(folder)
    print(json.dumps({"moment": moment, "killed": killed, **state, "clean": clean}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
