"""What an earlier export left, and what stands in the way of a new one: nothing but an export is replaced."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modwright.data.export.options import ExportOptions
from modwright.errors import IntegrityError, UsageError
from modwright.files import read_json, refuse_unfit

MANIFEST = "export.json"
FORMAT, FORMAT_VERSION = "modwright-export", 1


def manifest_path(options: ExportOptions) -> Path:
    """Return where an export is written down: in its folder, or beside its one file."""
    if options.one_file:
        return options.out.with_name(f"{options.out.name}.{MANIFEST}")
    return options.out / MANIFEST


def refuse_foreign(options: ExportOptions) -> None:
    """Raise UsageError where anything lies in the way that is no earlier export, or may not be replaced."""
    if options.one_file:
        _refuse_file(options)
        return
    refuse_unfit(options.out, replace=options.replace, only=MANIFEST)
    if not options.out.is_dir():
        return
    found = {path.name for path in options.out.iterdir()}
    others = sorted(found - _named(manifest_path(options)) - {MANIFEST}) if found else []
    if others:
        shown = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
        raise UsageError(
            f"holds what is no part of an export and is not replaced: {shown}",
            where=str(options.out),
            remedy="move it away, or choose another folder",
        )


def _refuse_file(options: ExportOptions) -> None:
    beside = manifest_path(options)
    ours = options.out.name in _named(beside) if beside.exists() else False
    if options.out.exists():
        if not options.replace:
            raise UsageError(
                "exists already", where=str(options.out), remedy="give --replace, or another name"
            )
        if not ours:
            raise UsageError(
                f"is no earlier export and is not replaced: there is no {beside.name} that names it",
                where=str(options.out),
                remedy="choose another name or remove the file",
            )
    elif beside.exists() and not ours:
        raise UsageError(
            "would be written beside the file, and is something else",
            where=str(beside),
            remedy="choose another name or remove it",
        )


def _named(manifest: Path) -> set[str]:
    """Return the files that an export wrote down; raises UsageError where it is none."""
    try:
        written = read_json(manifest)
        if isinstance(written, dict) and written.get("format") == FORMAT:
            return set(_files(written["files"].values()))
    except (AttributeError, IntegrityError, KeyError, OSError, TypeError):
        pass
    raise UsageError(
        "was not written by an export, so that nothing is replaced",
        where=str(manifest),
        remedy="choose another name",
    )


def _files(entries: Iterable[Any]) -> list[str]:
    return [str(entry["file"]) for entry in entries]
