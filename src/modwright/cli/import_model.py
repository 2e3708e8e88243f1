"""`modwright import`: a classifier that was trained elsewhere becomes an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.schema import MODERATION_TARGET, TargetKind
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.cli.view import RunView
    from modwright.pipeline.import_model import ImportResult


@dataclass(frozen=True, slots=True)
class ImportModelOptions:
    """What to bring in, what its answers are called, and where to write; overrides are `key.of.table=value`."""

    model: str
    out: Path
    target: str = MODERATION_TARGET
    kind: TargetKind | None = None
    negative: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    schema: Path | None = None
    overrides: tuple[str, ...] = ()
    replace: bool = False


@app.command("import")
def command(
    model: Annotated[str, typer.Argument(help="A folder, or a hub id: OWNER/NAME[@REVISION].")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the artifact.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Override values: window.max_tokens=256."),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", metavar="NAME", help="Name of the question it answers.")
    ] = MODERATION_TARGET,
    kind: Annotated[
        TargetKind | None, typer.Option("--kind", help="Needed where config.json states no problem_type.")
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option("--negative", metavar="LABEL", help="A label that says 'nothing wrong' (else: safe)."),
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--rename", metavar="OLD=NEW", help="Give a label another name.")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            "--schema",
            metavar="NAME",
            help="Names all labels, in the model's order: a shipped name or a file.",
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option("--pair", metavar="TEMPLATE", help="'{prompt} {response}' (else that), or 'tokenizer'."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Score from which on a label is flagged (else 0.5).")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what the folder holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring in a trained sequence classifier of transformers, so that it can be evaluated and served."""
    import json

    from modwright.cli.data.options import pairs
    from modwright.cli.view import print_json, run_view

    changes = list(overrides or ())
    changes += [] if pair is None else [f"input.pair={json.dumps(pair, ensure_ascii=False)}"]
    changes += [] if threshold is None else [f"decision.threshold={threshold}"]
    options = ImportModelOptions(
        model,
        out,
        target,
        kind,
        tuple(negative or ()),
        tuple(pairs(rename, "--rename")),
        schema,
        tuple(changes),
        replace,
    )
    with run_view(quiet=as_json) as view:
        result = import_model(options, view)
    if as_json:
        print_json(_as_json(result))
    else:
        _print(result, options)


def import_model(options: ImportModelOptions, view: RunView) -> ImportResult:
    """Bring a model in and return what came of it."""
    from modwright.pipeline.import_model import ImportedLabels
    from modwright.pipeline.import_model import import_model as run

    schema = None
    if options.schema is not None:
        from modwright.data.recorded import read_recorded

        schema = read_recorded(options.schema).schema
    return run(
        options.model,
        options.out,
        ImportedLabels(options.target, options.kind, options.negative, dict(options.renames), schema),
        load_settings(),
        overrides=options.overrides,
        on_event=view.on_event,
        progress=view.catalog,
        replace=options.replace,
    )


def _as_json(result: ImportResult) -> dict[str, object]:
    return {
        "artifact": str(result.folder),
        "id": result.artifact.id,
        "architecture": result.published.architecture,
        "problem_type": result.published.problem_type,
        "target": result.target.to_json(),
        "window_tokens": result.window_tokens,
        "largest_difference": result.drift,
        "notes": list(result.notes),
    }


def _print(result: ImportResult, options: ImportModelOptions) -> None:
    published, target = result.published, result.target
    print(f"read: {published.architecture}, problem type {published.problem_type or 'not stated'}")
    print(f"target '{target.name}', {target.kind}, {len(target.labels)} labels:")
    for own, label in zip(published.labels, target.labels, strict=True):
        said = " (says nothing is wrong)" if label in target.negative_labels else ""
        print(f"  {own}{'' if own == label else f' -> {label}'}{said}")
    print(
        f"windows of {result.window_tokens} tokens; scores differ from transformers' by {result.drift:.1g} at most"
    )
    print(f"\n{result.folder}  id {result.artifact.id[:12]}; a fresh process gives the same scores")
    out = quote(str(options.out))
    print(f"next: modwright evaluate {out} DATA --out REPORT   or: modwright serve {out}")
