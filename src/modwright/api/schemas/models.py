"""Cards of models: one body for every way in which the clients of both APIs read a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from modwright.api.schemas.native import Strict
from modwright.schema import TargetKind
from modwright.serving.deployments import Deployment

if TYPE_CHECKING:
    from modwright.storage.models import ModelRow

_LOSS = {TargetKind.MULTI_LABEL: "multi_class", TargetKind.SINGLE_LABEL: "single_class"}
#: Everything a model may be asked for in either API; what is left out some clients take for true.
_CAPABILITIES = (
    *("completion_chat", "completion_fim", "function_calling", "fine_tuning", "vision", "ocr", "reasoning"),
    *("classification", "moderation", "audio", "audio_speech", "audio_transcription"),
    "audio_transcription_realtime",
)
_SHORT_ID = 12

Name = Annotated[str, Field(min_length=1, max_length=200)]
Description = Annotated[str, Field(max_length=2_000)]


class ModelUpdate(Strict):
    """Body of `PATCH /v1/fine_tuning/models/{id}`; a key that is absent changes nothing, null clears it."""

    name: Name | None = None
    description: Description | None = None

    def changes(self) -> dict[str, str | None]:
        """Return what is to be changed."""
        return {key: getattr(self, key) for key in sorted(self.model_fields_set)}


class ModelCard(BaseModel):
    """A model, with every key either client family needs."""

    id: str
    object: str
    type: str = Field(description="`fine-tuned`, or `base` for what a job may train.")
    model_type: str = Field(description="`classifier`, or `base`.")
    created: int
    owned_by: str
    workspace_id: str
    name: str
    description: str
    job: str | None = Field(description="The job that trained it; the artifact's id where no job did.")
    root: str = Field(description="What it was trained from.")
    root_version: str
    archived: bool = Field(description="Archived models answer no request until they are unarchived.")
    aliases: list[str]
    capabilities: dict[str, bool]
    max_context_length: int = Field(
        description="Most characters of an input, so never fewer than its tokens; nothing is cut."
    )
    deprecation: str | None
    deprecation_replacement_model: str | None
    default_model_temperature: float | None
    classifier_targets: list[dict[str, Any]]
    operating_points: list[str] | None = Field(
        default=None,
        description="Saved thresholds by name; in lists only those of models served from folders.",
    )


class ModelList(BaseModel):
    """Every model that answers, and every base that a job may train."""

    object: str
    data: list[ModelCard]


class Deleted(BaseModel):
    """It is gone."""

    id: str
    object: str
    deleted: bool


class Archived(BaseModel):
    """Whether the model answers requests."""

    id: str
    object: str
    archived: bool


def deployment_card(deployment: Deployment, project_id: str, max_chars: int) -> dict[str, Any]:
    """Return the card of a model served from an artifact folder."""
    engine = deployment.engine
    return _card(
        deployment.name,
        max_chars,
        created=deployment.created_at,
        workspace_id=project_id,
        description="targets: " + ", ".join(engine.schema.names),
        job=engine.id[:_SHORT_ID],
        root=deployment.root,
        root_version=engine.id[:_SHORT_ID],
        aliases=list(deployment.aliases),
        classifier_targets=_targets(target.to_json() for target in engine.schema),
        operating_points=sorted(engine.operating_points),
    )


def trained_card(
    row: ModelRow, aliases: Sequence[str], max_chars: int, points: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return the card of a model that a job trained; ``points`` are its operating points where they are known."""
    card = _card(
        row.id,
        max_chars,
        created=int(row.created_at),
        workspace_id=row.project_id,
        name=row.name or row.id,
        description=row.description or "targets: " + ", ".join(target["name"] for target in row.targets),
        job=row.job_id or row.artifact_id[:_SHORT_ID],
        root=row.root,
        root_version=row.artifact_id[:_SHORT_ID],
        archived=row.archived,
        aliases=list(aliases),
        classifier_targets=_targets(row.targets),
    )
    return card if points is None else {**card, "operating_points": sorted(points)}


def base_card(
    name: str, aliases: Sequence[str], why: str, recipe: str, project_id: str, max_chars: int
) -> dict[str, Any]:
    """Return the card of a name that a job may be created with.

    Args:
        name: of a recipe or a base.
        aliases: other names that train the same here.
        why: what it trains, for people.
        recipe: that trains it.
        project_id: of who asks.
        max_chars: of an input.
    """
    can = {**dict.fromkeys(_CAPABILITIES, False), "fine_tuning": True}
    told = {"type": "base", "model_type": "base", "job": None, "capabilities": can}
    return {
        **_card(
            name, max_chars, workspace_id=project_id, description=why, root=recipe, aliases=list(aliases)
        ),
        **told,
    }


def _card(model_id: str, max_chars: int, **more: Any) -> dict[str, Any]:
    can = {**dict.fromkeys(_CAPABILITIES, False), "classification": True, "moderation": True}
    return {
        "id": model_id,
        "object": "model",
        "type": "fine-tuned",
        "model_type": "classifier",
        "created": 0,
        "owned_by": "modwright",
        "name": model_id,
        "root_version": "",
        "archived": False,
        "capabilities": can,
        "max_context_length": max_chars,
        "deprecation": None,
        "deprecation_replacement_model": None,
        "default_model_temperature": None,
        "classifier_targets": [],
        **more,
    }


def _targets(stored: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return targets, as a schema's JSON has them, in the words of the wire; weights are told by the job."""
    return [
        {
            "name": target["name"],
            "labels": list(target["labels"]),
            "weight": target.get("weight", 1.0),
            "loss_function": _LOSS[TargetKind(target["kind"])],
        }
        for target in stored
    ]
