"""What messages call a source that a user named: never its password or its query, which may be secrets."""

from __future__ import annotations

import re

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
_REST = re.compile(r"[?#].*", re.DOTALL)
_NOT_WEB = ("hf", "s3")  # '?' and '#' mean something else there


def with_plain_scheme(spec: str) -> str:
    """Return the spec with its scheme, where it has one, in lower case."""
    scheme, mark, rest = spec.partition("://")
    return f"{scheme.lower()}{mark}{rest}" if mark else spec


def spec_label(spec: str) -> str:
    """Return what messages and pages call a source: an address without user, password, query and fragment.

    Paths of this machine, patterns, ``hf://`` data sets and ``s3://`` patterns stay as they are. Of an address that
    cannot be taken apart (a password with a '/'), the scheme alone is told.
    """
    scheme, mark, rest = with_plain_scheme(spec).partition("://")
    if not mark:
        return spec
    rest = rest if scheme in _NOT_WEB else _REST.sub("", rest)
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}" if _HOST.fullmatch(host) else f"{scheme}://…"
