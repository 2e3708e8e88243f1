"""Reads the pages: their code blocks, and the commands in them."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```(\w*)(?: (\w+)=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """A command of a page, or a file that it shows; `shown` are the lines printed below a command."""

    command: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    writes: tuple[str, str] | None = None  # (name, content) to write first
    expects: tuple[str, str] | None = None  # (name, content) that must be there


def steps(page):
    """Yield the page's steps in reading order."""
    for kind, role, name, content in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if role == "file":
            yield Step(writes=(name, content))
        elif role == "output":
            yield Step(expects=(name, content))
        elif kind == "sh":
            yield from (
                Step(shlex.split(line, comments=True)) for line in content.splitlines() if line.strip()
            )
        elif kind == "console":
            yield from _console(content)


def _console(content):
    found = []
    for line in content.splitlines():
        if line.startswith("$ "):
            found.append(Step(shlex.split(line[2:])))
        elif line.strip():
            found[-1].shown.append(line)
    return found
