"""Secrets of others that a job needs, such as a tracker's key: encrypted wherever they rest."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
from functools import cached_property
from typing import TYPE_CHECKING

from modwright.errors import IntegrityError, MissingExtraError, SettingsError
from modwright.settings import Settings
from modwright.storage.objects import disk_in_words

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_SHORTEST = 32
_SAME_KEY = "give every server and worker the same MODWRIGHT_SECRET_KEY"


class Sealer:
    """Encrypts and decrypts with the setting `secret_key`, else with a key in the home folder that is made once.

    The setting may hold several keys with commas between: the first encrypts, each may decrypt. So a key is replaced
    by putting a new one before it.
    """

    def __init__(self, settings: Settings) -> None:
        self._given = settings.secret_key
        self._file = settings.home / "secret.key"

    def seal(self, text: str) -> str:
        """Return a text encrypted.

        Raises:
            SettingsError: the setting's key is too short.
            StorageError: the key's file cannot be made or read.
            MissingExtraError: the package that encrypts is not installed.
        """
        if self._given is None and not self._file.exists():
            self._make_file()
        return str(self._box.encrypt(text.encode()).decode())

    def open(self, sealed: str) -> str:
        """Return what was sealed.

        Raises:
            IntegrityError: it was sealed with another key, or changed.
            SettingsError, StorageError, MissingExtraError: see `seal`.
        """
        from cryptography.fernet import InvalidToken

        if self._given is None and not self._file.exists():
            raise IntegrityError("there is no key to open this secret with", remedy=_SAME_KEY)
        try:
            return str(self._box.decrypt(sealed.encode()).decode())
        except InvalidToken:
            raise IntegrityError("this secret was sealed with another key", remedy=_SAME_KEY) from None

    @cached_property
    def _box(self) -> MultiFernet:
        try:
            from cryptography.fernet import Fernet, MultiFernet
        except ImportError:
            raise MissingExtraError("serve", "keeping a secret") from None
        return MultiFernet([Fernet(_derived(key)) for key in self._keys()])

    def _keys(self) -> list[str]:
        if self._given is None:
            with disk_in_words(str(self._file)):
                return [self._file.read_text(encoding="ascii").strip()]
        keys = [key.strip() for key in self._given.get_secret_value().split(",")]
        if any(len(key) < _SHORTEST for key in keys):
            raise SettingsError(
                f"MODWRIGHT_SECRET_KEY holds a key of fewer than {_SHORTEST} characters",
                remedy="make one: openssl rand -hex 32",
            )
        return keys

    def _make_file(self) -> None:
        """Make the key's file for this user alone; of several that do so at once, one is first."""
        aside = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        with disk_in_words(str(self._file)):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "w", encoding="ascii") as stream:
                    stream.write(secrets.token_hex(32) + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(aside, self._file)
            finally:
                aside.unlink(missing_ok=True)


def _derived(key: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(b"modwright secrets\0" + key.encode()).digest())
