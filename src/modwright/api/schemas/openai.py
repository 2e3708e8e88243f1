"""Bodies of the moderation endpoints: OpenAI's shape holds Mistral's, so one translation serves both."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field

from modwright.api.dialect import Dialect
from modwright.api.schemas.mistral import located_texts
from modwright.api.schemas.native import Located, Parts, Request, Text, TextPart, Texts, by_shape, join
from modwright.schema import text_input
from modwright.serving.deployments import Deployment
from modwright.serving.engine import Judgement
from modwright.serving.moderation import moderate

#: The categories OpenAI's client has attributes for; absent ones are answered false and 0.0 in its dialect.
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


class ModerationRequest(Request):
    """Body of `POST /v1/moderations`. A list of parts is one input."""

    model: str | None = Field(
        default=None, description="The server's default, or its only model, where absent."
    )
    input: Annotated[Text | Texts | Parts, by_shape("a text, a list of texts or a list of text parts")]

    def located(self) -> Iterator[Located]:
        """Give the inputs in order; a list of parts is one."""
        if isinstance(self.input, list) and any(isinstance(item, TextPart) for item in self.input):
            return iter([Located(text_input(join(self.input)), "input", "input")])
        return located_texts(cast("str | list[str]", self.input))


class ModerationResult(BaseModel):
    """What a model says of one input."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]] | None = Field(
        default=None, description="OpenAI's dialect only; empty for a category this model does not have."
    )
    windows: int
    span: tuple[int, int]


class ModerationResponse(BaseModel):
    """One result per input, in order."""

    id: str
    model: str
    results: list[ModerationResult]


def moderation_response(
    deployment: Deployment, judgements: Sequence[Judgement], dialect: Dialect
) -> dict[str, Any]:
    """Return the body of a moderation in a dialect."""
    return {
        "id": f"mod-{uuid.uuid4().hex}",
        "model": deployment.name,
        "results": [_result(deployment, judgement, dialect) for judgement in judgements],
    }


def _result(deployment: Deployment, judgement: Judgement, dialect: Dialect) -> dict[str, Any]:
    moderation = moderate(deployment.engine.schema, judgement)
    categories, scores = dict(moderation.categories), dict(moderation.scores)
    result = {"flagged": moderation.flagged, "categories": categories, "category_scores": scores}
    if dialect is Dialect.OPENAI:
        applied = {name: ["text"] for name in categories}
        for name in CATEGORIES:
            if name not in categories:
                # The client reads `self-harm` into the attribute `self_harm`, over a key of that very name.
                twin = name.replace("-", "_").replace("/", "_")
                categories[name] = categories.get(twin, False)
                scores[name], applied[name] = scores.get(twin, 0.0), applied.get(twin, [])
        result["category_applied_input_types"] = applied
    return {**result, "windows": judgement.windows, "span": list(moderation.span)}
