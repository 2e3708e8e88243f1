"""An estimate as lines for people: what is counted, what is measured, and how far to trust it."""

from __future__ import annotations

from modwright.cli.meter import clock_text
from modwright.training.estimate import Estimate

_UNITS = ("B", "kB", "MB", "GB", "TB")


def print_estimate(found: Estimate) -> None:
    """Print an estimate."""
    for name, value in estimate_lines(found):
        print(f"{name:<12}{value}")


def estimate_lines(found: Estimate) -> list[tuple[str, str]]:
    """Return the figures by name."""
    most = "" if found.exact else "at most "
    epochs = "" if found.epochs is None else f", {found.epochs:g} epochs"
    runs = "1 run" if found.runs == 1 else f"{found.runs} runs"
    padding = found.padded_tokens / found.tokens - 1 if found.tokens else 0.0
    padded = f" ({padding:.0%} padding on top)" if found.padded_tokens > found.tokens else ""
    lines = [
        ("family", found.family),
        ("rows", f"{found.rows:,}"),
        ("runs", f"{runs}{epochs}" if found.steps else "none, nothing is trained"),
        ("steps", f"{most}{found.steps:,}"),
        ("tokens", f"{most if found.epochs is not None else ''}{found.tokens:,}{padded}"),
    ]
    if found.looks:
        lines.append(("looks", f"{most}{found.looks:,} at held-out rows"))
    seconds = found.seconds
    likely, low, high = (clock_text(value) for value in (seconds.likely, seconds.low, seconds.high))
    lines.append(("duration", f"about {likely}, between {low} and {high} (h:mm:ss or m:ss)"))
    memory = (
        "unknown on this system" if found.memory_bytes is None else f"about {size_text(found.memory_bytes)}"
    )
    return [
        *lines,
        ("memory", memory),
        ("disk", f"about {size_text(found.disk_bytes)}, checkpoints included"),
    ]


def size_text(size: float) -> str:
    """Return bytes as 1.4 GB."""
    for unit in _UNITS[:-1]:
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"
