"""`modwright data`: one file per command."""

from importlib import import_module

from modwright.cli.data.group import data_app

#: The commands' files, in the order of the help page.
for _name in ("importing", "build", "check", "split", "curate", "describe", "export", "diff"):
    import_module(f"modwright.cli.data.{_name}")

__all__ = ["data_app"]
