"""The synchronous client."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from modwright.client import calls, scoring
from modwright.client.address import address
from modwright.client.answers import Classification, Health, Moderation

if TYPE_CHECKING:
    from modwright.client.scoring import Inputs

from modwright.client.sync_resources import Files, Jobs, Keys, Models
from modwright.client.sync_runner import Runner


class Client:
    """Asks a modwright server; every call may raise what the server refuses with, as the classes of `modwright.errors`.

    A request that does no harm twice is repeated up to two times where no answer came, or where the server says when to
    come back (429, 503). Use it in a `with` statement, or `close` it. Threads may share one.

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._runner.close()

    def classify(self, inputs: Inputs, *, model: str, operating_point: str | None = None) -> Classification:
        """Score inputs against every target of a model, in as many requests as they need.

        Args:
            inputs: a text, a conversation (a list of turns with `role` and `content`), or several of them.
            model: a model's id or alias.
            operating_point: saved thresholds that decide what is flagged; the model's default.
        """
        return self._runner.run(scoring.classify(inputs, model, operating_point, self._limits))

    def moderate(
        self, inputs: Inputs, *, model: str | None = None, operating_point: str | None = None
    ) -> Moderation:
        """Say which categories inputs fall into; as `classify`, without a model the server's default one answers."""
        return self._runner.run(scoring.moderate(inputs, model, operating_point, self._limits))

    def health(self) -> Health:
        """Return how the server is; raises UnavailableError where a model of it fails."""
        return self._runner.run(calls.health())
