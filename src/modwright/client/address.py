"""Where the server is and who asks: from arguments, else from the settings."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import modwright
from modwright.errors import MissingExtraError, UsageError
from modwright.settings import Settings, load_settings

#: Addresses a server may listen on, that nobody can ask.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """A server and how to ask it.

    Attributes:
        url: without a slash at the end; paths with their own `/v1` follow it.
        key: None sends none.
        timeout_s: seconds without a byte.
        transfer_timeout_s: the same while a file is checked, or a job is estimated.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 300.0
    transfer_timeout_s: float = 7_200.0

    @property
    def headers(self) -> dict[str, str]:
        """Return what every request says."""
        told = {
            "accept": "application/json",
            "user-agent": f"modwright/{modwright.__version__}",
            "x-api-dialect": "mistral",
        }
        return told | ({"authorization": f"Bearer {self.key}"} if self.key else {})


def address(url: str | None, key: str | None, timeout_s: float, transfer_timeout_s: float) -> Address:
    """Return the server to ask; what is not given, the settings say.

    Raises:
        SettingsError: a MODWRIGHT_* variable is wrong.
        UsageError: the url is none of http, the key cannot be sent, or a timeout is no time.
    """
    if url is None or key is None:
        settings = load_settings()
        url = _url_of(settings) if url is None else url
        key = settings.key.get_secret_value() if key is None and settings.key is not None else key
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError("the key holds what no key has", remedy="copy it again, without blanks or line ends")
    if not (timeout_s > 0 and transfer_timeout_s > 0):
        raise UsageError(f"timeouts are {timeout_s:g} s and {transfer_timeout_s:g} s, expected more than 0")
    return Address(_checked(url), key and key.strip(), timeout_s, max(timeout_s, transfer_timeout_s))


def _url_of(settings: Settings) -> str:
    if settings.url is not None:
        return settings.url
    host = _EVERYWHERE.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def is_loopback(url: str) -> bool:
    """Return whether an address is this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxies_of(where: Address) -> dict[str, Any]:
    """Return what httpx is told of proxies: those of the environment, but none between this machine and itself."""
    return dict.fromkeys(("http://", "https://", "all://")) if is_loopback(where.url) else {}


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment:
        raise UsageError(
            f"url is '{url[:200]}', expected the address of a server",
            remedy="write such as http://127.0.0.1:8000",
        )
    return url.rstrip("/").removesuffix("/v1")


def import_httpx() -> ModuleType:
    """Return httpx; raises MissingExtraError where it is not installed."""
    try:
        import httpx
    except ImportError as error:
        raise MissingExtraError("client", f"the client ({error.name} is missing)") from None
    return httpx
