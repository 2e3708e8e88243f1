"""Calls about models, keys and health: what each sends and how its answer is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, TypeVar

from modwright.client.answers import ApiKey, Health, Model, NewApiKey, read, read_model
from modwright.client.flow import Flow, Request, call, done, path
from modwright.errors import IntegrityError

AnswerT = TypeVar("AnswerT")


class ModelChanges(TypedDict, total=False):
    """What of a model may be changed: None clears it, what is not given stays."""

    name: str | None
    description: str | None


def health() -> Flow[Health]:
    """Ask whether the server and its models are well."""
    return call(Request("GET", "/health"), lambda document: read(Health, document))


def list_models() -> Flow[tuple[Model, ...]]:
    """List every model that answers, then what jobs may train."""
    return call(Request("GET", "/v1/models"), lambda document: tuple(map(read_model, data_of(document))))


def get_model(model_id: str) -> Flow[Model]:
    """Show one model, by its id or an alias."""
    return call(Request("GET", path("v1", "models", model_id)), read_model)


def update_model(model_id: str, changes: ModelChanges) -> Flow[Model]:
    """Give a trained model a name or a description for people."""
    return call(
        Request("PATCH", path("v1", "fine_tuning", "models", model_id), document=dict(changes)), read_model
    )


def archive_model(model_id: str, *, archived: bool) -> Flow[None]:
    """Let a trained model rest, or answer again."""
    where = path("v1", "fine_tuning", "models", model_id, "archive")
    return call(Request("POST" if archived else "DELETE", where), done)


def delete_model(model_id: str) -> Flow[None]:
    """Delete a trained model."""
    return call(Request("DELETE", path("v1", "models", model_id)), done)


def set_alias(model_id: str, alias: str) -> Flow[Model]:
    """Let a trained model answer to another name, too."""
    return call(Request("PUT", path("v1", "models", model_id, "aliases", alias)), read_model)


def drop_alias(model_id: str, alias: str) -> Flow[Model]:
    """Take a name from a trained model."""
    return call(Request("DELETE", path("v1", "models", model_id, "aliases", alias)), read_model)


def create_key(name: str, scopes: Sequence[str] | None, expires_in_days: float | None) -> Flow[NewApiKey]:
    """Make a key of the asking project."""
    asked: dict[str, Any] = {"name": name}
    if scopes is not None:
        asked["scopes"] = list(scopes)
    if expires_in_days is not None:
        asked["expires_in_days"] = expires_in_days
    request = Request("POST", "/v1/keys", document=asked, repeatable=False)
    return call(request, lambda document: read(NewApiKey, document))


def list_keys() -> Flow[tuple[ApiKey, ...]]:
    """List the project's keys."""
    return call(
        Request("GET", "/v1/keys"),
        lambda document: tuple(read(ApiKey, item) for item in data_of(document)),
    )


def revoke_key(key_id: str) -> Flow[ApiKey]:
    """Revoke a key."""
    return call(Request("DELETE", path("v1", "keys", key_id)), lambda document: read(ApiKey, document))


def data_of(document: Any) -> list[Any]:
    """Return what a list's answer holds; raises IntegrityError where it is no list."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        raise IntegrityError("the server's answer is no list", remedy="does the url lead to modwright?")
    return data
