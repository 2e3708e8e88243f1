"""Pages of a list: by number, or after an id; the order is that of ids, which is that of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from modwright.errors import UsageError

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page:
    """A page by its number, counted from 0."""

    number: int = 0
    size: int = 100
    newest_first: bool = True

    def __post_init__(self) -> None:
        if self.number < 0 or self.size < 1:
            raise UsageError(
                f"there is no page {self.number} of {self.size} rows", remedy="pages are counted from 0"
            )


@dataclass(frozen=True, slots=True)
class Cursor:
    """What follows a row, which may be gone by now.

    Attributes:
        after: id of the last row that was seen; None begins.
        limit: rows at most.
        newest_first: the order.
    """

    after: str | None = None
    limit: int = 20
    newest_first: bool = True

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise UsageError(f"limit is {self.limit}, expected 1 or more")


@dataclass(frozen=True, slots=True)
class Paged(Generic[R]):
    """A page of rows.

    Attributes:
        rows: in order.
        total: how many rows there are on all pages.
        has_more: whether another page follows.
    """

    rows: tuple[R, ...]
    total: int
    has_more: bool


def paged(
    connection: Connection,
    query: Select[Any],
    id_column: ColumnElement[str],
    page: Page | Cursor,
    make: Callable[[Row[Any]], R],
) -> Paged[R]:
    """Return a page of what a query finds, each row made by ``make``; the query states no order."""
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    newest_first = page.newest_first
    ordered = query.order_by(id_column.desc() if newest_first else id_column.asc())
    if isinstance(page, Page):
        size, limited = page.size, ordered.offset(page.number * page.size)
    elif page.after is None:
        size, limited = page.limit, ordered
    else:
        beyond = id_column < page.after if newest_first else id_column > page.after
        size, limited = page.limit, ordered.where(beyond)
    found = connection.execute(limited.limit(size + 1)).all()
    return Paged(tuple(map(make, found[:size])), total, len(found) > size)
