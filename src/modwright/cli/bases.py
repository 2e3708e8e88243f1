"""`modwright bases`: what the catalog has, what is cached, and fetching one ahead of time."""

from __future__ import annotations

import json
from typing import Any

import typer

from modwright import catalog
from modwright.cli.app import app
from modwright.settings import Settings, load_settings

bases_app = typer.Typer(help="List and fetch pretrained bases.", no_args_is_help=True)
app.add_typer(bases_app, name="bases")


@bases_app.command("list")
def list_command(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the bases of the catalog, and what else is in the cache."""
    rows = list_bases(load_settings())
    if as_json:
        typer.echo(json.dumps({"bases": rows}, indent=2))
    else:
        _print_rows(rows)


@bases_app.command("pull")
def pull_command(
    name: str = typer.Argument(
        ..., help="A name of `bases list`, a hub id (owner/name), or a local folder to check."
    ),
    accept_terms: bool = typer.Option(
        False, "--accept-terms", help="Accept the terms of use of a base that has some."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Fetch a base into the cache, so that training later needs no network."""
    row = pull_base(name, load_settings(), accept_terms=accept_terms)
    if as_json:
        typer.echo(json.dumps(row, indent=2))
    else:
        typer.echo(f"{row['name']}: {row['path']}")
        typer.echo(f"  {row['weights']} sha256 {row['weights_sha256']}, licence {row['licence']}")


def list_bases(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for every base of the catalog and every other one in the cache."""
    known = [(base, catalog.is_cached(base, settings)) for base in catalog.BASES]
    others = [(base, True) for base in catalog.cached_bases(settings)]
    return [_row(base, cached) for base, cached in known + others]


def pull_base(name: str, settings: Settings, *, accept_terms: bool = False) -> dict[str, Any]:
    """Fetch a base, with a progress bar on a terminal, and return what and where it is.

    Raises:
        NotFoundError, UsageError, SourceError, IntegrityError: see `modwright.catalog.fetch_base`.
    """
    with catalog.TerminalProgress() as progress:
        base = catalog.fetch_base(name, settings, progress=progress, accept_terms=accept_terms)
    return {**base.to_json(), "path": str(base.path)}


def _row(base: catalog.Base, cached: bool) -> dict[str, Any]:
    return {
        "name": base.name,
        "aliases": [alias for alias in base.aliases if "/" not in alias],
        "hub": base.hub,
        "kind": str(base.kind),
        "parameters": base.parameters,
        "licence": base.licence,
        "needs_accepted_terms": base.terms is not None,
        "size_bytes": base.size_bytes,
        "weights_sha256": base.weights_sha256,
        "cached": cached,
        "note": base.note,
    }


def _print_rows(rows: list[dict[str, Any]]) -> None:
    """Print two lines per base; the second is its short name and note."""
    width = max(len("name"), *(len(row["name"]) for row in rows))
    typer.echo(f"{'name':{width}}  {'kind':7}  parameters    size  cached  licence")
    for row in rows:
        count = f"{row['parameters'] / 1e6:.1f} M" if row["parameters"] else "-"
        size = f"{row['size_bytes'] / 1e6:.0f} MB"
        cached = "yes" if row["cached"] else "no"
        line = f"{row['name']:{width}}  {row['kind']:7}  {count:>10}  {size:>6}  {cached:6}  {row['licence']}"
        typer.echo(line)
        about = ": ".join(part for part in (*row["aliases"][:1], row["note"]) if part)
        if about:
            typer.echo(f"  {about}")
