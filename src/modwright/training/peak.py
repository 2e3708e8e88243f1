"""The highest memory a process has taken, without any library: the kernel's own figure, or the GPU's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def peak_memory() -> int | None:
    """Return the highest memory so far in bytes: the GPU's where one is in use, else this process's; None if unknown."""
    cuda = _cuda()
    if cuda is not None:
        return int(cuda.max_memory_allocated())
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 if lines else None


def forget_peak() -> None:
    """Let the highest memory begin anew, where the system allows it."""
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _cuda() -> Any:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return torch.cuda
