"""modwright: train, prove and serve your own moderation classifiers on your own machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modwright.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the clients when they are first asked for: everything else of modwright starts without them."""
    if name in ("AsyncClient", "Client"):
        from modwright import client

        return getattr(client, name)
    raise AttributeError(f"module 'modwright' has no attribute '{name}'")
