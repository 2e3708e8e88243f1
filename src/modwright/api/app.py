"""The HTTP application: routes, the three ways to them, one shape of error, and a true OpenAPI document."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from modwright import __version__
from modwright.api.auth import Gate, declared_scope
from modwright.api.dialect import Dialect, fixed
from modwright.api.errors import ErrorBody, respond
from modwright.api.factory import Factory
from modwright.api.kept_bodies import KeptBodies
from modwright.api.middleware import Envelope
from modwright.api.rate_limits import RateLimits
from modwright.api.routes import artifacts, files, health, inference, jobs, keys, models, openai_jobs
from modwright.api.routes.common import ClientGoneError, answers
from modwright.errors import ModwrightError, RequestError
from modwright.serving.deployments import Deployments
from modwright.serving.served import Served
from modwright.serving.trained import TrainedModels
from modwright.settings import Settings

_DESCRIPTION = """Moderation classifiers on your own machine, for the `mistralai` and `openai` clients
and for curl.

Every path below `/v1` answers below `/mistral/v1` and `/openai/v1` too; the prefix fixes the dialect."""

#: Routers that are mounted only where the server has a factory.
KEEPING: tuple[APIRouter, ...] = (files.router, models.keeping, jobs.router, openai_jobs.router, keys.router)
#: Request models that their routes parse themselves, for the OpenAPI document.
KEEPING_REQUESTS: tuple[type[BaseModel], ...] = (*models.REQUESTS, *jobs.REQUESTS, *keys.REQUESTS)


def create_app(
    deployments: Deployments, settings: Settings, factory: Factory | None = None, *, gate: Gate | None = None
) -> FastAPI:
    """Return the application; its lifespan starts the models' batchers and stops them.

    Args:
        deployments: the models that answer.
        settings: limits, and the model of requests that name none.
        factory: what keeps files, jobs, models and keys; without one, none of their routes is mounted.
        gate: who may ask; the factory's keys where None, and anyone where that is None too.
    """

    trained = None if factory is None else TrainedModels(factory.models, factory.blobs, settings)
    served = Served(deployments, settings, trained)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await served.start()
        try:
            yield
        finally:
            await served.close()
            if factory is not None:
                await asyncio.to_thread(factory.checker.close)

    app = FastAPI(
        title="modwright",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.served = served
    app.state.settings = settings
    app.state.factory = factory
    app.state.job_bodies = KeptBodies()
    app.state.gate = Gate(factory.keys) if gate is None and factory is not None else gate
    app.state.rate_limits = RateLimits(settings.requests_per_minute)
    app.add_middleware(Envelope, settings=settings)
    _add_error_handlers(app, _groups(keeping=factory is not None))
    _add_routes(app, keeping=factory is not None)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _add_routes(app: FastAPI, *, keeping: bool) -> None:
    app.include_router(health.router)
    for group in _groups(keeping=keeping):
        app.include_router(group)
        for dialect in Dialect:
            prefix, dependencies = f"/{dialect}", [Depends(fixed(dialect))]
            app.include_router(group, prefix=prefix, dependencies=dependencies, include_in_schema=False)


def _groups(*, keeping: bool) -> tuple[APIRouter, ...]:
    """Return what is mounted below every prefix."""
    if not keeping:
        return (inference.router, models.router)
    return (inference.router, artifacts.router, models.router, *KEEPING)


def _add_error_handlers(app: FastAPI, groups: tuple[APIRouter, ...]) -> None:
    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error = _other_methods(error, groups, request.url.path)
        return respond(request, error)

    async def handle_parameters(request: Request, error: Exception) -> Response:
        return respond(request, RequestError(f"the path or query is wrong: {error}"))

    async def handle_gone(_: Request, __: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it

    app.add_exception_handler(ModwrightError, handle)
    app.add_exception_handler(HTTPException, handle)
    app.add_exception_handler(RequestValidationError, handle_parameters)
    app.add_exception_handler(ClientGoneError, handle_gone)


def _other_methods(error: HTTPException, groups: tuple[APIRouter, ...], path: str) -> HTTPException:
    """Return the error with every method the path takes; the framework tells those of the first route alone."""
    for dialect in Dialect:
        path = path.removeprefix(f"/{dialect}")
    routes = [route for group in groups for route in group.routes if isinstance(route, APIRoute)]
    there = [route for route in routes if route.path_regex.match(path)]
    if not there:
        return error
    nearest = max(there, key=lambda route: len(re.sub(r"{[^}]*}", "", route.path))).path
    methods = {method for route in there if route.path == nearest for method in route.methods or ()}
    return HTTPException(405, error.detail, {**(error.headers or {}), "Allow": ", ".join(sorted(methods))})


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with the bodies the routes parse themselves; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _add_bodies(document)
        _tell_access(app, document)
        app.openapi_schema = document
    return app.openapi_schema


def _add_bodies(document: dict[str, Any]) -> None:
    requests: tuple[type[BaseModel], ...] = (*inference.REQUESTS, *KEEPING_REQUESTS)
    template = "#/components/schemas/{model}"
    _, bodies = models_json_schema([(model, "validation") for model in requests], ref_template=template)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(bodies["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):  # FastAPI's own
                del operation["responses"]["422"]


def _tell_access(app: FastAPI, document: dict[str, Any]) -> None:
    """Say of every operation which scope it needs, and how it refuses who lacks it."""
    if app.state.gate is None:
        return
    scheme = {"type": "http", "scheme": "bearer", "description": "A key, while the server has any."}
    document["components"]["securitySchemes"] = {"key": scheme}
    refusals = {str(status): told for status, told in answers(ErrorBody, 401, 403, 429, 503).items()}
    del refusals["200"]
    groups = _groups(keeping=app.state.factory is not None)
    for route in (route for group in groups for route in group.routes if isinstance(route, APIRoute)):
        scope = declared_scope(route.dependencies)
        if scope is None or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            operation["security"] = [{"key": [scope]}]
            responses = operation["responses"]
            for status in sorted(refusals.keys() - responses.keys()):
                told = refusals[status]
                content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
                responses[status] = {"description": told["description"], "content": content}
