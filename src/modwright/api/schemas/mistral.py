"""Bodies of Mistral's inference endpoints, as its clients from 1.7 to 3.x send and parse them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, Tag

from modwright.api.schemas.native import (
    ChatMessage,
    Located,
    Messages,
    Request,
    Strict,
    Text,
    Texts,
    by_shape,
    conversation,
)
from modwright.schema import text_input
from modwright.serving.deployments import Deployment
from modwright.serving.engine import Judgement, TargetAnswer


class ClassificationRequest(Request):
    """Body of `POST /v1/classifications`."""

    model: str
    input: Annotated[Text | Texts, by_shape("a text or a list of texts")]

    def located(self) -> Iterator[Located]:
        """Give the inputs in order."""
        return located_texts(self.input)


class Conversation(Strict):
    """A conversation whose last turn is judged in the context of the ones before it."""

    messages: Messages


class ChatClassificationRequest(Request):
    """Body of `POST /v1/chat/classifications`."""

    model: str
    input: Annotated[
        Annotated[Conversation, Tag("<object>")]
        | Annotated[list[Conversation], Field(fail_fast=True), Tag("<objects>")]
        | Annotated[list[Conversation], Field(fail_fast=True), Tag("<texts>")]
        | Annotated[list[Conversation], Field(fail_fast=True), Tag("<lists>")],
        by_shape("an object with messages, or a list of such objects"),
    ]

    def located(self) -> Iterator[Located]:
        """Give the conversations in order."""
        if isinstance(self.input, Conversation):
            yield conversation(self.input.messages, "input", "input.messages")
            return
        for n, item in enumerate(self.input):
            yield conversation(item.messages, f"input.{n}", f"input.{n}.messages")


class ChatModerationRequest(Request):
    """Body of `POST /v1/chat/moderations`: bare lists of messages."""

    model: str | None = None
    input: Annotated[
        Annotated[list[ChatMessage], Field(fail_fast=True), Tag("<objects>")]
        | Annotated[list[Messages], Field(fail_fast=True), Tag("<lists>")]
        | Annotated[list[ChatMessage], Field(min_length=1, fail_fast=True), Tag("<texts>")],
        by_shape("a list of messages, or a list of such lists"),
    ]

    def located(self) -> Iterator[Located]:
        """Give the conversations in order."""
        single = [item for item in self.input if isinstance(item, ChatMessage)]
        if single:
            yield conversation(single, "input", "input")
            return
        for n, item in enumerate(self.input):
            if isinstance(item, list):
                yield conversation(item, f"input.{n}", f"input.{n}")


def located_texts(texts: str | list[str]) -> Iterator[Located]:
    """Give a text, or each of several, as an input."""
    if isinstance(texts, str):
        yield Located(text_input(texts), "input", "input")
        return
    for n, text in enumerate(texts):
        yield Located(text_input(text), f"input.{n}", f"input.{n}")


class TargetResult(BaseModel):
    """What a model says of one input for one target."""

    scores: dict[str, float] = Field(description="Label to calibrated probability.")
    flags: list[str] = Field(description="Labels flagged at the operating point.")
    windows: int = Field(description="Windows the judged text was scored in; nothing is cut.")
    span: tuple[int, int] = Field(
        description="Characters [from, to) of the judged text: the window that decided."
    )
    review: Literal["pass", "review", "act"] | None = Field(
        default=None, description="What its review band says of the text; absent where the model has none."
    )
    review_by_label: dict[str, Literal["pass", "review", "act"]] | None = Field(
        default=None, description="Labels to what each says by itself; those that say nothing are left out."
    )


class ClassificationResponse(BaseModel):
    """One result per input, in order; each maps target to its result."""

    id: str
    model: str
    results: list[dict[str, TargetResult]]


def classification_response(deployment: Deployment, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Return the body of a classification."""
    results = [
        {name: _target_result(answer, judgement.windows) for name, answer in judgement.targets.items()}
        for judgement in judgements
    ]
    return {"id": uuid.uuid4().hex, "model": deployment.name, "results": results}


def _target_result(answer: TargetAnswer, windows: int) -> dict[str, Any]:
    result = {
        "scores": answer.scores,
        "flags": list(answer.flags),
        "windows": windows,
        "span": list(answer.span),
    }
    if answer.review is None:
        return result
    by_label = {label: str(verdict) for label, verdict in answer.review_by_label.items()}
    return {**result, "review": str(answer.review), "review_by_label": by_label}


class Health(BaseModel):
    """The server answers, and each of its models has just judged an input."""

    status: str
    models: int
    max_inputs: int = Field(description="Most inputs of one request.")
    max_upload_bytes: int = Field(description="Largest body of an upload.")
