"""A connection that does not wait for ever: the head of a request has a deadline, however slowly it drips in."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


def deadline_protocol(head_s: float) -> type[asyncio.Protocol]:
    """Return the protocol for uvicorn's `http`; uvicorn's own sees to connections idle between requests.

    Args:
        head_s: seconds from the first byte of a request, or from the connection, until its head is complete.
    """

    class DeadlineProtocol(H11Protocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel()
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            """Run the clock while a head is incomplete; each byte of it does not wind the clock back."""
            if not self._head_is_missing():
                self._cancel()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(head_s, self._give_up)

        def _head_is_missing(self) -> bool:
            return repr(self.conn.their_state) == "IDLE"  # h11's word for it

        def _cancel(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self) -> None:
            self._deadline = None
            if self._head_is_missing():
                self.transport.abort()

    return DeadlineProtocol
