"""The command line: one file per command, each a parse and a plain function. `app` gathers them; `main` is the script."""

from __future__ import annotations

from modwright.cli.app import app, main

__all__ = ["app", "main"]
