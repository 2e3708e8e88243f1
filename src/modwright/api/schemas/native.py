"""What every dialect's requests share: strict objects, texts, messages, and our own extra keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from modwright.api.errors import InvalidBodyError, Location, Problem
from modwright.errors import nearest
from modwright.schema import Input, Message, Role
from modwright.serving.engine import DEFAULT_OPERATING_POINT


@dataclass(frozen=True, slots=True)
class Located:
    """An input and where in the body it stands: the whole of it, and the text of it that is judged."""

    input: Input
    where: str
    judged: str


class Strict(BaseModel):
    """An object whose unknown keys are errors that name the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    hint = nearest(key[:200], cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_key", "unknown key '{key}' ({hint})", {"key": key[:200], "hint": hint}
                    )
        return data


class Request(Strict):
    """The keys of every request for scores. `inputs` is read as `input`."""

    metadata: dict[str, Any] | None = Field(default=None, description="Taken, not used.")
    operating_point: str = Field(
        default=DEFAULT_OPERATING_POINT,
        description="Name of the saved thresholds that decide what is flagged.",
    )

    @model_validator(mode="before")
    @classmethod
    def _alias(cls, data: Any) -> Any:
        if isinstance(data, dict) and "inputs" in data:
            if "input" in data:
                raise PydanticCustomError("twice", "has both 'input' and its other name 'inputs'; give one")
            data = {("input" if key == "inputs" else key): value for key, value in data.items()}
        return data


def shape_tag(value: Any) -> str | None:
    """Tell apart what may stand where a text or several are expected; such tags never reach a client."""
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, dict):
        return "<object>"
    if isinstance(value, list):
        first = value[0] if value else ""
        return "<lists>" if isinstance(first, list) else "<objects>" if isinstance(first, dict) else "<texts>"
    return None


def by_shape(expected: str) -> Discriminator:
    """Return the discriminator of a union over `shape_tag`s; ``expected`` says what may stand there."""
    return Discriminator(
        shape_tag, custom_error_type="wrong_shape", custom_error_message=f"expected {expected}"
    )


Text = Annotated[str, Tag("<text>")]
# A list fails at its first wrong item: a body of a million of them must not make a million problems.
Texts = Annotated[list[str], Field(fail_fast=True), Tag("<texts>")]


class TextPart(Strict):
    """A piece of a text. Pieces of one content are joined without anything between them."""

    type: Literal["text"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _text_only(cls, data: Any) -> Any:
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind != "text":
            raise PydanticCustomError(
                "unsupported_part",
                "a part of type '{kind}' cannot be judged: models read text only, and nothing passes unread",
                {"kind": kind[:100]},
            )
        return data


Parts = Annotated[list[TextPart], Field(fail_fast=True), Tag("<objects>")]
_NoParts = Annotated[list[str], Field(max_length=0), Tag("<texts>")]  # the empty list has no shape to tell


class ChatMessage(Strict):
    """One turn. What other APIs add to a turn (tool calls, names) is taken and not judged."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Annotated[Text | Parts | _NoParts, by_shape("a text or a list of text parts")] | None = None
    name: str | None = None
    tool_calls: Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = None
    tool_call_id: str | None = None
    prefix: bool | None = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise PydanticCustomError(
                "no_content", "content is missing; only an assistant message with tool_calls may go without"
            )
        return self

    def message(self) -> Message:
        """Return the turn as its text; one without content (tool calls only) is an empty text."""
        return Message(Role(self.role), join(self.content))


def join(content: str | list[TextPart] | list[str] | None) -> str:
    """Return the text of a content: parts joined without anything between them."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.text for part in content)


Messages = Annotated[list[ChatMessage], Field(min_length=1, fail_fast=True)]


def conversation(messages: list[ChatMessage], where: str, list_where: str) -> Located:
    """Return messages as one input whose last turn is judged; ``list_where`` is the path of the list."""
    last = f"{list_where}.{len(messages) - 1}.content"
    return Located(tuple(message.message() for message in messages), where, last)


ModelT = TypeVar("ModelT", bound=BaseModel)


def parse(model: type[ModelT], document: Any) -> ModelT:
    """Fit a JSON document to a model; raises InvalidBodyError with every problem, each at its path."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        raise InvalidBodyError([_problem(detail) for detail in details]) from None


def _problem(detail: ErrorDetails) -> Problem:
    loc: Location = tuple(part for part in detail["loc"] if not str(part).startswith("<"))
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "unknown_key":
        loc = (*loc, context["key"])
    if kind in ("missing", "too_short"):
        return Problem(loc, "is missing" if kind == "missing" else "is empty, expected at least one", kind)
    message = detail["msg"].removeprefix("Input ")
    if kind.endswith("_type") or kind in ("wrong_shape", "literal_error"):
        message = f"{message}, found {_describe(detail['input'])}"
    return Problem(loc, message, kind)


def _describe(value: Any) -> str:
    """Say what kind of value was found; never more of a text than a word's length."""
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return f"the {'boolean' if isinstance(value, bool) else 'number'} {str(value).lower()[:40]}"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 20 else f"a text of {len(value)} characters"
    return f"a list of {len(value)}" if isinstance(value, list) else "an object"
