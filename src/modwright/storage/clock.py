"""The database's clock, which all servers and workers share, and ids that sort by it."""

from __future__ import annotations

import secrets
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Double, Engine, literal_column, select

# `unixepoch('now', 'subsec')` needs SQLite 3.42; before, it is NULL without a word.
_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",
}


def now_expression(bind: Engine | Connection) -> ColumnElement[float]:
    """Return SQL for the present, in Unix seconds by the database's clock (SQLite: to the millisecond)."""
    return literal_column(_NOW[bind.dialect.name], Double)


def now(connection: Connection) -> float:
    """Return the present in Unix seconds by the database's clock."""
    return float(connection.execute(select(now_expression(connection))).scalar_one())


def new_id(now_s: float) -> str:
    """Return a UUID of version 7 for a moment: later moments give greater ids, to a quarter of a microsecond.

    Args:
        now_s: Unix seconds, by the database's clock where the id is of a row.
    """
    milliseconds, rest = divmod(int(now_s * 4_096_000), 4096)
    value = (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | rest << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=value))
