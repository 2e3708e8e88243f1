"""What a server says when it refuses: this text, an option of the question, or everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modwright.client.failures import Reply, body_of
from modwright.errors import IntegrityError

#: Options of a question to an LLM that some hosted models do not take.
OPTIONS = ("max_tokens", "temperature")
#: What no other row would be spared: who asks, the address, the method; or an address elsewhere.
_HOPELESS = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 407, 410})
#: Words of codes and messages that are about this very text, whatever option they name besides.
_OF_THE_TEXT = ("context_length", "context length", "content_filter", "content_policy")


def hopeless(reply: Reply) -> bool:
    """Return whether nobody would get another answer."""
    return reply.status in _HOPELESS


def refused(reply: Reply) -> bool:
    """Return whether a server will not look at this text, as hosted models' filters say it."""
    return reply.status == 400 and (b"content_filter" in reply.content or b"content_policy" in reply.content)


def refused_option(reply: Reply, options: Iterable[str] = OPTIONS) -> str | None:
    """Return which of some options a server does not take; None where it refuses for another reason.

    The field that the error names decides; only where it names none, the words of its message do.
    """
    if reply.status not in (400, 422):
        return None
    told = _told(reply)
    words = f"{told.get('code')} {told.get('message')}"
    if any(word in words for word in _OF_THE_TEXT):
        return None
    place = told.get("param")
    if isinstance(place, str) and place:
        return next((option for option in options if option == place.rpartition(".")[2]), None)
    return next((option for option in options if option in words), None)


def _told(reply: Reply) -> Mapping[str, Any]:
    """Return an error's `param`, `code` and `message`, whichever way it is wrapped."""
    try:
        document = body_of(reply)
    except IntegrityError:
        return {"message": reply.content.decode(errors="replace")}
    told = document.get("error", document) if isinstance(document, dict) else document
    if not isinstance(told, dict):
        return {"message": str(told)}
    details = told.get("detail")
    if isinstance(details, list) and details and isinstance(details[0], dict):
        place = details[0].get("loc")
        return {"param": str(place[-1]) if isinstance(place, list) and place else None, **told}
    return told if "message" in told or details is None else {**told, "message": details}
