"""`modwright serve`: answer over HTTP, on this machine only."""

from __future__ import annotations

import ipaddress
import json
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from modwright.cli.app import app, print_nowhere
from modwright.errors import MissingExtraError, UsageError
from modwright.settings import Settings, load_settings

if TYPE_CHECKING:
    import uvicorn

#: Seconds beyond request_timeout_s that requests under way get when the server is told to stop.
_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What to serve and where.

    Attributes:
        artifacts: "[NAME=]PATH" of artifact folders.
        host: a loopback address; the settings' where None.
        port: 0 takes a free one; the settings' where None.
        as_json: announce readiness as one JSON line instead of for people.
    """

    artifacts: tuple[str, ...] = ()
    host: str | None = None
    port: int | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The server takes requests now: its URL, and the names of its models."""

    url: str
    models: tuple[str, ...]


@app.command("serve")
def command(
    artifacts: list[str] = typer.Argument(
        None, metavar="[ARTIFACT]...", help="Artifact folders, each [NAME=]PATH."
    ),
    host: str | None = typer.Option(None, help="Loopback address to listen on (MODWRIGHT_HOST, 127.0.0.1)."),
    port: int | None = typer.Option(
        None, min=0, max=65535, help="Port to listen on; 0 takes a free one (MODWRIGHT_PORT, 8000)."
    ),
    as_json: bool = typer.Option(False, "--json", help="Announce readiness as one line of JSON."),
) -> None:
    """Serve trained models over HTTP to the mistralai and openai clients and to curl."""
    serve(ServeOptions(tuple(artifacts or ()), host, port, as_json))


def serve(options: ServeOptions, announce: Callable[[Ready], None] | None = None) -> None:
    """Serve until told to stop; SIGTERM lets requests under way finish.

    Raises:
        UsageError: an address that is not loopback or cannot be listened on; two models of one name.
        NotFoundError, ArtifactError: an artifact is missing or broken.
        MissingExtraError: the extra 'serve' is not installed.
    """
    settings = load_settings()
    host = options.host if options.host is not None else settings.host
    port = options.port if options.port is not None else settings.port
    listener = listen(loopback(host), port)  # before the models load: a taken port is told at once
    with listener:
        _run(listener, options, settings, announce or (_announce_json if options.as_json else _announce))


def _run(
    listener: socket.socket, options: ServeOptions, settings: Settings, announce: Callable[[Ready], None]
) -> None:
    try:
        import uvicorn

        from modwright.api.app import create_app
        from modwright.serving.deployments import Deployments
    except ImportError as error:
        raise MissingExtraError("serve", f"serving ({error.name} is missing)") from None

    deployments = Deployments.load(options.artifacts, settings)
    ready = Ready(_url(listener), tuple(deployment.name for deployment in deployments))
    config = uvicorn.Config(
        create_app(deployments, settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.request_timeout_s + _DRAIN_S),
    )
    # uvicorn raises the signals it caught once more when it is done; being told to stop is no failure.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        _server(config, lambda: announce(ready)).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


def _server(config: uvicorn.Config, on_started: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_started()

    return Announced(config)


def loopback(host: str) -> str:
    """Return the address to listen on; raises UsageError unless only this machine can reach it."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise UsageError(
            f"host '{host}' is not a loopback address; without keys, only this machine may ask",
            where="--host",
            remedy="use 127.0.0.1, ::1 or localhost; put a proxy that checks who asks in front of it",
        )
    return str(address)


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket; raises UsageError where the port is taken or not allowed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=2048)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {address} port {port}: {error.strerror or error}",
            where="--port",
            remedy="choose another port, or 0 for a free one",
        ) from None


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _announce_json(ready: Ready) -> None:
    told: dict[str, Any] = {"event": "ready", "url": ready.url, "models": list(ready.models)}
    _say(json.dumps(told))


def _announce(ready: Ready) -> None:
    if not ready.models:
        _say(f"listening on {ready.url} without a model; name artifact folders to serve some")
        return
    _say(f"serving {', '.join(ready.models)} on {ready.url} (Ctrl-C stops)\n\n{curl_line(ready)}\n")


def _say(text: str) -> None:
    """Print; a server goes on where nobody reads what it says."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        print_nowhere()


def curl_line(ready: Ready) -> str:
    """Return a command line that asks the first model."""
    body = json.dumps({"model": ready.models[0], "input": "You are a silly goose."})
    return f"curl {ready.url}/v1/moderations -H 'content-type: application/json' -d '{body}'"
