"""The asynchronous client: what `sync` has, awaited; see there for what each call does and raises."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from modwright.client import calls, scoring
from modwright.client.address import address
from modwright.client.answers import Classification, Health, Moderation

if TYPE_CHECKING:
    from modwright.client.scoring import Inputs

from modwright.client.async_resources import Files, Jobs, Keys, Models
from modwright.client.async_runner import Runner


class AsyncClient:
    """Asks a modwright server; every call may raise what the server refuses with, as the classes of `modwright.errors`.

    A request that does no harm twice is repeated up to two times where no answer came, or where the server says when to
    come back (429, 503). Use it in an `async with` statement, or await `close`.

    Args:
        url: address of the server; MODWRIGHT_URL when not given, else that of a server on this machine.
        key: API key; MODWRIGHT_KEY when not given; "" sends none.
        timeout_s: seconds without a byte of an answer.
        transfer_timeout_s: the same while a file that was sent is checked, or a job is estimated.

    Raises:
        MissingExtraError: the extra 'client' is not installed.
        UsageError: the url is none, or the key cannot be sent.
        SettingsError: a MODWRIGHT_* variable is wrong.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float = 300.0,
        transfer_timeout_s: float = 7_200.0,
    ) -> None:
        where = address(url, key, timeout_s, transfer_timeout_s)
        self._runner = Runner(where)
        self._limits = scoring.Limits()
        self.url = where.url
        self.files = Files(self._runner)
        self.jobs = Jobs(self._runner)
        self.models = Models(self._runner)
        self.keys = Keys(self._runner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._runner.close()

    async def classify(
        self, inputs: Inputs, *, model: str, operating_point: str | None = None
    ) -> Classification:
        """Score inputs against every target of a model, in as many requests as they need.

        Args:
            inputs: a text, a conversation (a list of turns with `role` and `content`), or several of them.
            model: a model's id or alias.
            operating_point: saved thresholds that decide what is flagged; the model's default.
        """
        return await self._runner.run(scoring.classify(inputs, model, operating_point, self._limits))

    async def moderate(
        self, inputs: Inputs, *, model: str | None = None, operating_point: str | None = None
    ) -> Moderation:
        """Say which categories inputs fall into; as `classify`, without a model the server's default one answers."""
        return await self._runner.run(scoring.moderate(inputs, model, operating_point, self._limits))

    async def health(self) -> Health:
        """Return how the server is; raises UnavailableError where a model of it fails."""
        return await self._runner.run(calls.health())
