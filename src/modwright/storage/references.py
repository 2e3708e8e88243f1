"""Who names content: the rules by which it stays and goes, as statements inside the caller's transaction.

Who is about to name content holds its row, who removes a name locks it first; both before any other row, in the order
of their hashes. So one of the two comes first, and on no database do they wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from modwright.errors import IntegrityError
from modwright.storage.clock import now, now_expression
from modwright.storage.tables import blob_reservations, blobs, files, model_blobs


def hold(connection: Connection, sha256: str) -> str | None:
    """Return the name of the content's object and keep it from going until the transaction ends; None: not there."""
    row = select(blobs.c.key).where(blobs.c.sha256 == sha256).with_for_update(read=True, key_share=True)
    found = connection.execute(row).scalar()
    return None if found is None else str(found)


def name_all(connection: Connection, hashes: Iterable[str]) -> None:
    """Hold content that the caller names in this transaction, and use up one reservation for each time it is given.

    Raises:
        IntegrityError: content is not there: it was never put, or its reservation was over.
    """
    for sha256, times in sorted(Counter(hashes).items()):
        if hold(connection, sha256) is None:
            raise IntegrityError(
                f"there is no content with sha256 {sha256[:16]}…",
                remedy="put it again: it was kept for a day",
            )
        for _ in range(times):
            take_reservation(connection, sha256)


def lock(connection: Connection, hashes: Iterable[str]) -> None:
    """Keep everybody else from naming or dropping this content until the transaction ends."""
    for sha256 in sorted(set(hashes)):
        connection.execute(select(blobs.c.key).where(blobs.c.sha256 == sha256).with_for_update())


def drop_unused(connection: Connection, hashes: Iterable[str]) -> list[str]:
    """Drop the rows of content, locked before, that nobody names or has reserved.

    Returns:
        the names of the objects to delete, once the transaction has ended well.
    """
    gone: list[str] = []
    for sha256 in sorted(set(hashes)):
        over = blob_reservations.c.expires_at <= now_expression(connection)
        connection.execute(delete(blob_reservations).where(blob_reservations.c.sha256 == sha256, over))
        named = or_(*(_names(table, sha256) for table in (blob_reservations, files, model_blobs)))
        unused = delete(blobs).where(blobs.c.sha256 == sha256, ~named).returning(blobs.c.key)
        gone += connection.execute(unused).scalars().all()
    return gone


def add_reservation(connection: Connection, sha256: str, seconds: float) -> None:
    """Keep content, held before, for a while."""
    values = {"sha256": sha256, "expires_at": now(connection) + seconds}
    connection.execute(insert(blob_reservations).values(values))


def take_reservation(connection: Connection, sha256: str) -> None:
    """Use up one reservation of this content; it does not matter whose, they are all alike."""
    one = (
        select(blob_reservations.c.id)
        .where(blob_reservations.c.sha256 == sha256)
        .order_by(blob_reservations.c.expires_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(one).scalar()
    if found is not None:
        connection.execute(delete(blob_reservations).where(blob_reservations.c.id == found))


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless one is there that it would contradict."""
    build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(build(table).values(dict(values)).on_conflict_do_nothing())


def _names(table: Table, sha256: str) -> ColumnElement[bool]:
    return select(table.c.sha256).where(table.c.sha256 == sha256).exists()
