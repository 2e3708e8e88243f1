"""Files of projects: added once, found by their own project only, paged, expired, deleted with their content."""

from __future__ import annotations

import hashlib
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from modwright.errors import IntegrityError, NotFoundError, UsageError
from modwright.storage.clock import new_id
from modwright.storage.files import FileFilters, NewFile
from modwright.storage.paging import Cursor, Page
from modwright.storage.tables import DEFAULT_PROJECT, files, projects
from modwright.storage.tables import blobs as blobs_table

CONTENT = b'{"text": "you are a silly goose", "labels": {"moderation": []}}\n'
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SAME_DATABASE = settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def committed(blobs, content=CONTENT, **changes):
    with blobs.writer() as writer:
        writer.write(content)
        info = writer.commit()
    return NewFile(**{"filename": "train.jsonl", "sha256": info.sha256, "bytes": info.bytes, **changes})


def add_project(database, name):
    with database.write() as connection:
        connection.execute(insert(projects).values(id=name, name=name, created_at=0.0))


def test_a_file_is_kept_as_it_was_given(file_store, blobs):
    new = committed(
        blobs, num_lines=1, mimetype="application/jsonl", visibility="workspace", summary={"lines": 1}
    )
    row = file_store.add(DEFAULT_PROJECT, new)
    assert file_store.get(DEFAULT_PROJECT, row.id) == row
    assert abs(row.created_at - time.time()) < 5
    assert (row.filename, row.bytes, row.num_lines, row.purpose) == (
        "train.jsonl",
        len(CONTENT),
        1,
        "fine-tune",
    )
    assert (row.summary, row.expires_at, row.mimetype) == ({"lines": 1}, None, "application/jsonl")
    assert b"".join(blobs.read(row.sha256)) == CONTENT


def test_same_content_name_and_purpose_is_the_same_file(file_store, blobs):
    first = file_store.add(DEFAULT_PROJECT, committed(blobs))
    assert file_store.add(DEFAULT_PROJECT, committed(blobs)) == first
    others = [{"filename": "other.jsonl"}, {"purpose": "batch"}, {"content": b"other"}]
    ids = {file_store.add(DEFAULT_PROJECT, committed(blobs, **change)).id for change in others}
    assert len(ids | {first.id}) == 4


def test_threads_that_add_the_same_content_get_one_row(file_store, blobs):
    barrier, ids = threading.Barrier(4), []

    def work():
        new = committed(blobs)
        barrier.wait(30)
        ids.append(file_store.add(DEFAULT_PROJECT, new).id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ids) == 4
    assert len(set(ids)) == 1
    file_store.delete(DEFAULT_PROJECT, ids[0])
    assert not blobs.exists(SHA256)


def test_deleting_while_the_same_content_is_added_never_loses_it(file_store, blobs):
    failed = []

    def work(name):
        try:
            for _ in range(6):
                row = file_store.add(DEFAULT_PROJECT, committed(blobs, filename=name))
                assert b"".join(blobs.read(row.sha256)) == CONTENT
                file_store.delete(DEFAULT_PROJECT, row.id)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"{number}.jsonl",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    assert not blobs.exists(SHA256)
    assert list(blobs._objects.names(older_than_s=-60)) == []


def test_of_two_that_delete_one_is_told_that_it_is_gone(file_store, blobs):
    row = file_store.add(DEFAULT_PROJECT, committed(blobs))
    answers = []

    def work():
        try:
            answers.append(file_store.delete(DEFAULT_PROJECT, row.id))
        except NotFoundError as error:
            answers.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer is None for answer in answers) == [False, True]


def test_content_goes_with_the_last_file_that_names_it(file_store, blobs):
    rows = [file_store.add(DEFAULT_PROJECT, committed(blobs, filename=name)) for name in ("a", "b")]
    file_store.delete(DEFAULT_PROJECT, rows[0].id)
    assert blobs.exists(rows[0].sha256)
    file_store.delete(DEFAULT_PROJECT, rows[1].id)
    assert not blobs.exists(rows[0].sha256)


def test_another_projects_file_does_not_exist(database, file_store, blobs):
    add_project(database, "other")
    row = file_store.add(DEFAULT_PROJECT, committed(blobs))
    theirs = file_store.add("other", committed(blobs))
    assert theirs.id != row.id
    for act in (file_store.get, file_store.delete):
        with pytest.raises(NotFoundError, match="there is no file"):
            act("other", row.id)
    assert [found.id for found in file_store.list("other").rows] == [theirs.id]
    file_store.delete("other", theirs.id)
    assert blobs.exists(row.sha256)


def test_content_that_was_never_committed_makes_no_file(file_store):
    with pytest.raises(IntegrityError, match="no content"):
        file_store.add(DEFAULT_PROJECT, NewFile(filename="a", sha256="0" * 64, bytes=1))
    assert file_store.list(DEFAULT_PROJECT).total == 0


def test_a_name_no_database_keeps_is_refused(file_store, blobs):
    with pytest.raises(UsageError, match="NUL"):
        file_store.add(DEFAULT_PROJECT, committed(blobs, filename="a\0b"))


def test_what_has_expired_is_gone_and_removed_with_its_content(database, file_store, blobs):
    row = file_store.add(DEFAULT_PROJECT, committed(blobs, expires_in_s=3600.0))
    kept = file_store.add(DEFAULT_PROJECT, committed(blobs, b"other"))
    assert row.expires_at == pytest.approx(row.created_at + 3600, abs=0.01)
    assert file_store.expire() == 0
    with database.write() as connection:
        connection.execute(update(files).where(files.c.id == row.id).values(expires_at=row.created_at))
    with pytest.raises(NotFoundError):
        file_store.get(DEFAULT_PROJECT, row.id)
    assert [found.id for found in file_store.list(DEFAULT_PROJECT).rows] == [kept.id]
    assert file_store.expire() == 1
    assert not blobs.exists(row.sha256)
    assert blobs.exists(kept.sha256)


def test_adding_again_what_has_expired_makes_a_new_file(database, file_store, blobs):
    row = file_store.add(DEFAULT_PROJECT, committed(blobs, expires_in_s=1.0))
    with database.write() as connection:
        connection.execute(update(files).values(expires_at=row.created_at))
    assert file_store.add(DEFAULT_PROJECT, committed(blobs)).id != row.id
    assert file_store.expire() == 0


@pytest.mark.parametrize(
    ("first", "second", "lives"), [(60, 600, 600), (600, 60, 600), (60, None, None), (None, 60, None)]
)
def test_added_again_it_lives_as_long_as_the_longer_lived(file_store, blobs, first, second, lives):
    file_store.add(DEFAULT_PROJECT, committed(blobs, expires_in_s=first))
    row = file_store.add(DEFAULT_PROJECT, committed(blobs, expires_in_s=second))
    assert row.expires_at == (None if lives is None else pytest.approx(row.created_at + lives, abs=5))


def test_filters(file_store, blobs):
    def add(name, **changes):
        return file_store.add(DEFAULT_PROJECT, committed(blobs, name.encode(), filename=name, **changes)).id

    plain = add("Plain_100%.jsonl")
    batch = add("batch.jsonl", purpose="batch", sample_type="batch_request", source="mistral", mimetype="x/y")

    def found(**given):
        return [row.id for row in file_store.list(DEFAULT_PROJECT, FileFilters(**given)).rows]

    assert found() == [batch, plain]
    assert found(purpose="batch") == found(sample_types=("batch_request", "none")) == [batch]
    assert found(sources=("mistral",)) == found(mimetypes=("x/y",)) == found(search="BATCH") == [batch]
    assert found(search="100%") == found(search="plain_") == [plain]
    assert found(search="1%0") == found(purpose="") == []


def many(database, project, count):
    """Make rows by hand, some of the same millisecond; return their ids, oldest first."""
    new = {
        "sha256": "0" * 64,
        "purpose": "p",
        "bytes": 0,
        "sample_type": "s",
        "source": "s",
        "project_id": project,
    }
    made = sorted(new_id(1e9 + number // 3 / 1000) for number in range(count))
    values = [{**new, "id": name, "filename": name, "created_at": 1e9} for name in made]
    with database.write() as connection:
        connection.execute(delete(files).where(files.c.project_id == project))
        if values:
            connection.execute(insert(files), values)
    return made


@pytest.fixture
def listed(database, file_store, blobs):
    """A project for made-up rows, and a content for them to name."""
    add_project(database, "listed")
    with database.write() as connection:
        connection.execute(insert(blobs_table).values(sha256="0" * 64, key="k", bytes=0, created_at=0.0))
    return database


@SAME_DATABASE
@given(count=st.integers(0, 25), size=st.integers(1, 9))
def test_numbered_pages_cover_everything_once_newest_first(listed, file_store, count, size):
    made = many(listed, "listed", count)
    seen, number = [], 0
    while True:
        page = file_store.list("listed", page=Page(number, size))
        assert page.total == count
        seen += [row.id for row in page.rows]
        if not page.has_more:
            break
        assert len(page.rows) == size
        number += 1
    assert seen == made[::-1]
    assert file_store.list("listed", page=Page(number + 1, size)).rows == ()


@SAME_DATABASE
@given(count=st.integers(0, 25), size=st.integers(1, 9), newest_first=st.booleans(), gone=st.booleans())
def test_cursors_cover_everything_once_even_while_rows_go(
    listed, file_store, count, size, newest_first, gone
):
    made = many(listed, "listed", count)
    seen, after = [], None
    while True:
        page = file_store.list("listed", page=Cursor(after, size, newest_first))
        seen += [row.id for row in page.rows]
        if gone and page.rows:
            with listed.write() as connection:
                connection.execute(delete(files).where(files.c.id.in_([row.id for row in page.rows])))
        if not page.has_more:
            break
        after = page.rows[-1].id
    assert seen == (made[::-1] if newest_first else made)


@pytest.mark.parametrize("make", [lambda: Page(-1), lambda: Page(0, 0), lambda: Cursor(limit=0)])
def test_pages_that_cannot_be_are_refused(make):
    with pytest.raises(UsageError):
        make()


def test_a_page_beyond_all_numbers_is_the_users_error(file_store):
    with pytest.raises(UsageError):
        file_store.list(DEFAULT_PROJECT, page=Page(10**30))
