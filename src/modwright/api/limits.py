"""What a request may be: its bytes, media type, encoding, depth, number of inputs and their lengths."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request

from modwright.api.schemas.native import Located
from modwright.errors import RequestError
from modwright.schema import Input
from modwright.settings import Settings


async def read_body(request: Request) -> bytes:
    """Read a request's body; raises HTTPException 415 for another media type, 413 beyond the limit."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise HTTPException(415, f"content-type is '{media_type[:100]}', expected application/json")
    return await request.body()


def parse_json(raw: bytes, max_depth: int) -> Any:
    """Parse bytes as one JSON document, strictly; at most `max_depth` lists and objects inside each other.

    Raises:
        RequestError: not UTF-8, not JSON, too deep, or a lone surrogate in a string; the place is named.
    """
    if not raw.strip():
        raise RequestError("the body is empty, expected a JSON object")
    try:
        document = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno} (character {error.pos})"
        raise RequestError(f"the body is not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError as error:  # a number of thousands of digits
        raise RequestError(f"the body holds a number that cannot be read: {error}") from None
    _check_tree(document, max_depth)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(f"the body holds {name}, which is not JSON")


def _too_deep(max_depth: int) -> RequestError:
    return RequestError(f"the body nests lists and objects deeper than {max_depth}")


def _check_tree(value: Any, max_depth: int, path: tuple[str | int, ...] = ()) -> None:
    """Check that the document is not too deep and its strings can be encoded."""
    if isinstance(value, str):
        _check_string(value, path)
    elif isinstance(value, dict | list):
        if len(path) >= max_depth:
            raise _too_deep(max_depth)
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str):
                _check_string(key, path)
            if isinstance(item, str | dict | list):
                _check_tree(item, max_depth, (*path, key))


def _check_string(value: str, path: tuple[str | int, ...]) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"holds the lone surrogate U+{ord(value[error.start]):04X} at character {error.start}",
            where=".".join(str(part) for part in path) or None,
            remedy="half of an emoji was cut off; send whole characters or U+FFFD",
        ) from None


def check_inputs(items: Iterable[Located], settings: Settings) -> list[Input]:
    """Return the inputs; raises RequestError where there are none, too many, an empty or a too long one."""
    inputs: list[Input] = []
    for item in items:
        if len(inputs) == settings.max_inputs:
            raise RequestError(
                f"holds more than {settings.max_inputs} inputs",
                where="input",
                remedy="send several requests, or raise MODWRIGHT_MAX_INPUTS",
            )
        _check_input(item, settings)
        inputs.append(item.input)
    if not inputs:
        raise RequestError("holds no input", where="input", remedy="give at least one")
    return inputs


def _check_input(item: Located, settings: Settings) -> None:
    if not item.input[-1].content:
        raise RequestError(
            "is empty: there is nothing to judge",
            where=item.judged,
            remedy="leave it out; tool calls are not judged",
        )
    chars = sum(len(message.content) for message in item.input)
    if chars > settings.max_input_chars:
        raise RequestError(
            f"holds {chars} characters, at most {settings.max_input_chars} are taken",
            where=item.where,
            remedy="split it, or raise MODWRIGHT_MAX_INPUT_CHARS",
        )
