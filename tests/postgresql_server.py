"""A PostgreSQL server of the tests' own: in a folder of its own, on a socket of its own, gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

from modwright.storage.database import open_database

_VERSIONS = Path("/usr/lib/postgresql")
_NOT_THE_DISK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
_SMALL = ("shared_buffers=16MB", "max_connections=200", "max_wal_senders=0", "wal_level=minimal")


def server_programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, newest version first; None where PostgreSQL is not installed."""
    folders = [path for path in _VERSIONS.glob("*/bin") if (path / "initdb").is_file()]
    if folders:
        return max(folders, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class PostgreSQL:
    """A running server; `make` gives the URL of a new database, `kill` and `start` are what a bad night does."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = _other_user()
        # Not below pytest's folder: its path is too long for a socket and not open to another user.
        self._folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self._data = self._folder / "data"
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._numbers = count()
        self._template: str | None = None
        self._run("initdb", "-D", self._data, "-U", "modwright", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = (*_NOT_THE_DISK, *_SMALL, "listen_addresses=", f"unix_socket_directories={self._folder}")
        options = " ".join(f"-c {setting}" for setting in settings)
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``immediate`` is a kill: nothing is said to anybody."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def make(self) -> str:
        """Return the URL of a new, migrated database."""
        if self._template is None:
            self._template = self._created("template0")
            database = open_database(self.url(self._template))
            database.migrate()
            database.close()
        return self.url(self._created(self._template))

    def make_empty(self) -> str:
        """Return the URL of a new database without tables."""
        return self.url(self._created("template0"))

    def drop(self, url: str) -> None:
        """Drop a database, whoever still uses it."""
        name = url.partition("?")[0].rpartition("/")[2]
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        """Return the URL of a database by name."""
        return f"postgresql://modwright@/{name}?host={self._folder}"

    def close(self) -> None:
        """Stop the server and remove what it wrote."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _created(self, template: str) -> str:
        name = f"db{os.getpid()}_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def _execute(self, statement: str) -> None:
        url = self.url("postgres").replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        user = self._user
        who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open for as long as the server runs
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            timeout=120,
            **who,
        )
        assert done.returncode == 0, f"{program} ended with {done.returncode}"


def _other_user() -> pwd.struct_passwd | None:
    """Return whom the server runs as: it refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("no user to run PostgreSQL as")
