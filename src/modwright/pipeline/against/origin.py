"""The address on a command line and the key in the environment, checked before anything is asked."""

from __future__ import annotations

import html
import json
import os
from urllib.parse import quote, urlsplit

from modwright.errors import ModwrightError, UsageError

_BLOT = "***"


def split_url(url: str) -> tuple[str, str]:
    """Return scheme and host, and the path without a slash at its end; raises UsageError."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise UsageError(f"'{url[:200]}' is no address", remedy="write such as http://127.0.0.1:8000")
    if "@" in parts.netloc:
        raise UsageError(
            "the address holds a user or a password",
            where=parts.hostname,
            remedy="name a key's variable instead",
        )
    if parts.query or parts.fragment:
        raise UsageError(
            "the address has more behind its path", where=parts.hostname, remedy="leave out '?' and '#'"
        )
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def key_in(variable: str | None) -> str | None:
    """Return the key that a variable holds, None without one; raises UsageError."""
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"the variable {variable} is not set", remedy="export it, or name the one that holds the key"
        )
    if not (value.isascii() and value.isprintable()):
        raise UsageError(
            "holds what no key has", where=variable, remedy="copy it again, without blanks or line ends"
        )
    return value


class Blotter:
    """Blots a key out of what a server says, however it is written there."""

    def __init__(self, key: str | None) -> None:
        written = {key, json.dumps(key)[1:-1], key.replace("/", "\\/"), quote(key, safe="")} if key else set()
        written |= {html.escape(one) for one in written}
        self._written = sorted(written, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without the key."""
        for one in self._written:
            text = text.replace(one, _BLOT)
        return text

    def content(self, content: bytes) -> bytes:
        """Return bytes without the key."""
        for one in self._written:
            content = content.replace(one.encode(), _BLOT.encode())
        return content

    def blot(self, error: ModwrightError) -> None:
        """Take the key out of every word of an error, and of those it gathers."""
        for name, value in list(vars(error).items()):
            if isinstance(value, str):
                setattr(error, name, self.text(value))
        error.args = (error.message,)
        for problem in getattr(error, "problems", ()):
            self.blot(problem)
