"""`modwright serve`: API, worker and database in one command; or only answers, with `--no-jobs`."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from modwright.cli.app import app, print_nowhere
from modwright.cli.worker_processes import WorkerProcesses, worker_command
from modwright.errors import MissingExtraError, UsageError
from modwright.settings import Settings, load_settings

if TYPE_CHECKING:
    import uvicorn

    from modwright.api.auth import Gate
    from modwright.api.factory import Factory

#: Seconds beyond request_timeout_s that requests under way get when the server is told to stop.
_DRAIN_S = 5.0
#: What a worker needs and a machine that only serves may lack.
_OF_WORKERS = ("polars", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What to serve and where.

    Attributes:
        artifacts: "[NAME=]PATH" of artifact folders.
        host: an address of this machine; the settings' where None.
        port: 0 takes a free one; the settings' where None.
        jobs: take files and train on them too; else answer with the artifacts given, and keep nothing.
        as_json: announce readiness as one JSON line instead of for people.
    """

    artifacts: tuple[str, ...] = ()
    host: str | None = None
    port: int | None = None
    jobs: bool = True
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The server takes requests now.

    Attributes:
        url: where.
        models: names of the models it was started with.
        notes: what else its operator should know, a sentence each.
    """

    url: str
    models: tuple[str, ...]
    notes: tuple[str, ...] = ()


@app.command("serve")
def command(
    artifacts: list[str] = typer.Argument(
        None, metavar="[ARTIFACT]...", help="Artifact folders, each [NAME=]PATH."
    ),
    host: str | None = typer.Option(
        None, help="Address to listen on (MODWRIGHT_HOST, 127.0.0.1); other than loopback once a key exists."
    ),
    port: int | None = typer.Option(
        None, min=0, max=65535, help="Port to listen on; 0 takes a free one (MODWRIGHT_PORT, 8000)."
    ),
    jobs: bool = typer.Option(
        True, "--jobs/--no-jobs", help="Take files and train on them; or only answer, and keep nothing."
    ),
    as_json: bool = typer.Option(False, "--json", help="Announce readiness as one line of JSON."),
) -> None:
    """Serve models over HTTP, and train them there, for the mistralai and openai clients and for curl.

    Files, jobs, models and keys are kept in MODWRIGHT_DATABASE and MODWRIGHT_STORAGE, by default below
    MODWRIGHT_HOME. MODWRIGHT_JOB_WORKERS says how many workers train beside the server.
    """
    serve(ServeOptions(tuple(artifacts or ()), host, port, jobs, as_json))


def serve(options: ServeOptions, announce: Callable[[Ready], None] | None = None) -> None:
    """Serve until told to stop; SIGTERM lets requests under way finish.

    Raises:
        UsageError: an address that cannot be listened on, or may not be without a key; two models of one name.
        NotFoundError, ArtifactError: an artifact is missing or broken.
        StorageError: the database or the store of blobs cannot be reached.
        MissingExtraError: the extra 'serve' is not installed.
    """
    settings = load_settings()
    host = options.host if options.host is not None else settings.host
    port = options.port if options.port is not None else settings.port
    address = listening_address(host, settings)
    with listen(address, port) as listener:  # before the models load: a taken port is told at once
        _run(listener, options, settings, announce or (_announce_json if options.as_json else _announce))


def _run(
    listener: socket.socket, options: ServeOptions, settings: Settings, announce: Callable[[Ready], None]
) -> None:
    try:
        import uvicorn

        from modwright.api.app import create_app
        from modwright.api.connections import deadline_protocol
        from modwright.cli.opening import open_factory, open_gate
        from modwright.serving.deployments import Deployments
    except ImportError as error:
        raise MissingExtraError("serve", f"serving ({error.name} is missing)") from None

    deployments = Deployments.load(options.artifacts, settings, keeping=options.jobs)
    factory = open_factory(settings) if options.jobs else None
    gate = open_gate(settings, factory, always=not _is_loopback(listener.getsockname()[0]))
    workers = _worker_count(settings) if factory is not None else 0
    ready = Ready(
        _url(listener),
        tuple(deployment.name for deployment in deployments),
        _notes(settings, factory, gate, workers),
    )
    config = uvicorn.Config(
        create_app(deployments, settings, factory, gate=gate),
        http=deadline_protocol(settings.stall_timeout_s),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.request_timeout_s + _DRAIN_S),
    )
    with _quiet_sigterm(), _housekeeping(factory), WorkerProcesses(workers, worker_command()):
        _server(config, lambda: announce(ready)).run(sockets=[listener])


@contextlib.contextmanager
def _quiet_sigterm() -> Iterator[None]:
    """Uvicorn raises the signals it caught once more when it is done; being told to stop is no failure."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _housekeeping(factory: Factory | None) -> contextlib.AbstractContextManager[object]:
    """Return what removes expired files and leftovers for as long as the server runs."""
    if factory is None:
        return contextlib.nullcontext()
    from modwright.storage.housekeeping import Housekeeper

    return Housekeeper(factory.files, factory.blobs)


def _worker_count(settings: Settings) -> int:
    """Return how many workers can run here: none where what trains is not installed."""
    return settings.job_workers if all(find_spec(name) is not None for name in _OF_WORKERS) else 0


def _notes(settings: Settings, factory: Factory | None, gate: Gate | None, workers: int) -> tuple[str, ...]:
    notes = []
    if factory is not None:
        notes.append(f"files, jobs and models are kept in {factory.database.label}")
        if workers:
            notes.append(f"{workers} worker{'s' if workers > 1 else ''} train beside the server")
        elif settings.job_workers:
            notes.append("no worker runs here, the extra 'train' is missing: jobs wait for one elsewhere")
        else:
            notes.append("no worker runs here: jobs wait for one elsewhere")
    if gate is None or not gate.keyed:
        notes.append("no key exists: anyone on this machine may ask for anything")
    return tuple(notes)


def _server(config: uvicorn.Config, on_started: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_started()

    return Announced(config)


def listening_address(host: str, settings: Settings) -> str:
    """Return the IP address to listen on.

    Raises:
        UsageError: no IP address, or one that others can reach while no key exists.
    """
    if host == "localhost":
        return "127.0.0.1"
    if _is_loopback(host):
        return str(ipaddress.ip_address(host))
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = None
    if address is None or not _key_exists(settings):
        raise UsageError(
            f"host '{host}' is not a loopback address; without keys, only this machine may ask",
            where="--host",
            remedy="make a key first (modwright keys create) and give an IP address, or use 127.0.0.1",
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key_exists(settings: Settings) -> bool:
    try:
        from modwright.cli.opening import key_exists
    except ImportError as error:
        raise MissingExtraError("serve", f"serving ({error.name} is missing)") from None
    return key_exists(settings)


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
    told = {"event": "ready", "url": ready.url, "models": list(ready.models), "notes": list(ready.notes)}
    _say(json.dumps(told))


def _announce(ready: Ready) -> None:
    if ready.models:
        told = f"serving {', '.join(ready.models)} on {ready.url} (Ctrl-C stops)"
    else:
        told = f"listening on {ready.url} without a model; name artifact folders to serve some"
    notes = "".join(f"  {note}\n" for note in ready.notes)
    asked = f"\n{curl_line(ready)}\n" if ready.models else ""
    _say(f"{told}\n{notes}{asked}")


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
