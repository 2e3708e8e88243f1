"""`modwright files`: what a server keeps to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.cli.remote import (
    JSON,
    asked,
    moment,
    print_answer,
    print_answers,
    print_fields,
    print_rows,
    transfer_bar,
)

if TYPE_CHECKING:
    from modwright.client import Client, File

files_app = typer.Typer(help="Upload files to a server, and see what it keeps.", no_args_is_help=True)
app.add_typer(files_app, name="files")

_ID = Annotated[str, typer.Argument(metavar="ID", help="The file's id.")]


@files_app.command("upload")
def upload_command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files of rows, a JSON object a line.")
    ],
    purpose: Annotated[
        str, typer.Option("--purpose", help="fine-tune, or user_data or evals, which are not checked.")
    ] = "fine-tune",
    expires: Annotated[
        int | None, typer.Option("--expires-in-hours", min=1, help="Delete it by itself then.")
    ] = None,
    skip: Annotated[
        float | None,
        typer.Option(
            "--skip", min=0, max=0.5, help="Share of its lines that may be wrong; the server's own if absent."
        ),
    ] = None,
    as_json: bool = JSON,
) -> None:
    """Upload files; each is checked line by line, and nothing is kept of one that is wrong."""
    with asked() as client:
        files = [
            upload(client, path, purpose=purpose, expires_in_hours=expires, skip=skip, quiet=as_json)
            for path in paths
        ]
    if as_json:
        print_answers("files", files)
        return
    for file in files:
        print(told(file))


def upload(
    client: Client,
    path: Path,
    *,
    purpose: str = "fine-tune",
    expires_in_hours: int | None = None,
    skip: float | None = None,
    quiet: bool = False,
) -> File:
    """Upload a file, with a bar on a terminal unless ``quiet``; raises what `Client.files.upload` does."""
    with transfer_bar(path.name, quiet=quiet) as progress:
        return client.files.upload(
            path,
            purpose=purpose,
            expires_in_hours=expires_in_hours,
            invalid_sample_skip_percentage=skip,
            progress=progress,
        )


def told(file: File) -> str:
    """Return a file as one line: its id, its name, and what is in it."""
    lines = "" if file.num_lines is None else f", {file.num_lines:,} line{'' if file.num_lines == 1 else 's'}"
    targets = () if file.summary is None else file.summary.targets.items()
    labels = "".join(f", {name}: {', '.join(found.labels)}" for name, found in targets)
    return f"{file.id}  {file.filename}, {file.bytes:,} bytes{lines}{labels}"


@files_app.command("list")
def list_command(
    purpose: Annotated[str | None, typer.Option("--purpose", help="Only files of this purpose.")] = None,
    search: Annotated[str | None, typer.Option("--search", help="Only names that hold this.")] = None,
    as_json: bool = JSON,
) -> None:
    """List files, newest first."""
    with asked() as client:
        files = list(client.files.list(purpose=purpose, search=search))
    if as_json:
        print_answers("files", files)
        return
    rows = [
        (
            file.id,
            f"{file.bytes:,}",
            "" if file.num_lines is None else f"{file.num_lines:,}",
            moment(file.created_at),
            file.purpose,
            file.filename,
        )
        for file in files
    ]
    print_rows(("id", "bytes", "lines", "created", "purpose", "name"), rows)


@files_app.command("show")
def show_command(file: _ID, as_json: bool = JSON) -> None:
    """Show one file, and what the check found in it."""
    with asked() as client:
        found = client.files.get(file)
    if as_json:
        print_answer(found)
        return
    print_fields(
        [
            ("id", found.id),
            ("name", found.filename),
            ("purpose", found.purpose),
            ("bytes", f"{found.bytes:,}"),
            ("lines", "" if found.num_lines is None else f"{found.num_lines:,}"),
            ("sha256", found.sha256 or ""),
            ("created", moment(found.created_at)),
            ("expires", moment(found.expires_at)),
            *_summary(found),
        ]
    )


def _summary(file: File) -> list[tuple[str, str]]:
    if file.summary is None:
        return []
    targets = [
        (f"target {name}", f"{found.kind or 'soft labels'}: {', '.join(found.labels)}")
        for name, found in file.summary.targets.items()
    ]
    skipped = [("skipped", f"{file.summary.skipped:,} wrong lines")] if file.summary.skipped else []
    return [*targets, *skipped, *(("note", note) for note in file.summary.notes)]


@files_app.command("delete")
def delete_command(
    files: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the files.")],
) -> None:
    """Delete files; jobs that have begun have their own copies."""
    with asked() as client:
        for file in files:
            client.files.delete(file)
            print(f"deleted {file}")


@files_app.command("download")
def download_command(
    file: _ID,
    out: Annotated[
        Path, typer.Option("--out", help="Path, or a folder for it to have its own name in.")
    ] = Path(),
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is there.")] = False,
) -> None:
    """Fetch a file as it was uploaded; it appears whole or not at all."""
    with asked() as client, transfer_bar(file, quiet=False) as progress:
        path = client.files.download(file, out, replace=replace, progress=progress)
    print(path)
