"""One way to read and one to write, the same on SQLite and PostgreSQL; tables that follow from the migrations."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import exc, insert, select, text, update

from modwright.errors import SettingsError, StorageError, UsageError
from modwright.settings import Settings
from modwright.storage.clock import new_id, now
from modwright.storage.database import database_url as url_of
from modwright.storage.database import keepable, open_database
from modwright.storage.migrating import steps
from modwright.storage.tables import DEFAULT_PROJECT, REVISION, files, metadata, projects

MIGRATE = (
    "import sys; from modwright.storage.database import open_database; open_database(sys.argv[1]).migrate()"
)


def add_project(connection, name):
    connection.execute(insert(projects).values(id=name, name=name, created_at=now(connection)))


def names(database):
    with database.read() as connection:
        return set(connection.execute(select(projects.c.name)).scalars())


def test_migrations_build_the_tables_that_the_code_asks(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_code_knows_the_last_step():
    assert steps().get_current_head() == REVISION


def test_the_default_project_is_there_and_migrating_again_changes_nothing(database):
    database.migrate()
    assert names(database) == {DEFAULT_PROJECT}


def test_a_write_is_kept_whole_or_undone(database):
    with database.write() as connection:
        add_project(connection, "kept")
    lost = {"id": "lost", "created_at": 0.0}
    with pytest.raises(exc.IntegrityError), database.write() as connection:
        connection.execute(insert(projects), [{**lost, "name": "lost"}, {**lost, "name": "same id"}])
    assert names(database) == {DEFAULT_PROJECT, "kept"}


def test_foreign_keys_hold(database):
    with pytest.raises(exc.IntegrityError), database.write() as connection:
        connection.execute(text("INSERT INTO aliases VALUES ('nobody', 'a', 'nothing')"))


def test_writers_wait_for_each_other_and_lose_nothing(database):
    """Each reads, then writes what it read plus one: a lost update would show."""
    with database.write() as connection:
        add_project(connection, "counter")

    def count():
        for _ in range(10):
            with database.write() as connection:
                row = projects.c.id == "counter"
                value = connection.execute(
                    select(projects.c.created_at).where(row).with_for_update()
                ).scalar_one()
                connection.execute(update(projects).where(row).values(created_at=value + 1))

    with database.write() as connection:
        connection.execute(update(projects).values(created_at=0))
    threads = [threading.Thread(target=count) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        value = select(projects.c.created_at).where(projects.c.id == "counter")
        assert connection.execute(value).scalar_one() == 50


def test_a_reader_does_not_wait_for_a_writer(database):
    with database.write() as connection:
        add_project(connection, "hidden")
        start = time.monotonic()
        assert names(database) == {DEFAULT_PROJECT}
        assert time.monotonic() - start < 15


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_several_processes_may_migrate_at_once(kind, tmp_path, request):
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'deep' / 'new.db'}"
    else:
        url = request.getfixturevalue("postgresql").make_empty()
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATE, url]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0] * 3
    database = open_database(url)
    assert names(database) == {DEFAULT_PROJECT}
    database.close()


def test_threads_may_migrate_at_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    failed = []

    def migrate():
        try:
            open_database(url).migrate()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_database_of_a_later_modwright_is_refused(database):
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="'9999'") as caught:
        database.migrate()
    assert "later modwright" in str(caught.value)


def test_the_clock_is_the_present_and_goes_on(database):
    with database.read() as connection:
        before, first = time.time(), now(connection)
        time.sleep(0.01)
        second = now(connection)
    assert abs(first - before) < 2
    assert second > first


def test_ids_sort_by_time():
    start = 1_795_384_000.0
    moments = [start, start + 0.0001, start + 0.001, start + 1, start + 1e6]
    ids = [new_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert len({new_id(start) for _ in range(1000)}) == 1000
    assert all(len(name) == 36 and name[14] == "7" for name in ids)


@pytest.mark.parametrize("value", ["nul \0 inside", "half a \ud83d character"])
def test_texts_no_database_keeps_are_refused_by_name(database, value):
    with pytest.raises(UsageError, match="NUL"):
        keepable(value, "name")
    asked = select(files).where(files.c.id == value)
    if database.engine.dialect.name == "sqlite" and "\0" in value:
        with database.read() as connection:
            assert connection.execute(asked).first() is None
    else:
        with pytest.raises(UsageError), database.read() as connection:
            connection.execute(asked)


def test_numbers_no_database_keeps_are_the_users_error(database):
    with pytest.raises(UsageError), database.read() as connection:
        connection.execute(select(files).where(files.c.bytes == 10**30))


def test_the_url_comes_from_the_settings_or_is_a_file_at_home(tmp_path):
    assert url_of(Settings(home=tmp_path)) == f"sqlite:///{tmp_path / 'modwright.db'}"
    assert url_of(Settings(home=tmp_path, database="postgresql://h/n")) == "postgresql://h/n"


@pytest.mark.parametrize(
    "url", ["nonsense with secret-word", "mysql://u:secret-word@h/n", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_that_leads_nowhere_is_told_without_its_password(url):
    with pytest.raises(SettingsError) as caught:
        open_database(url)
    assert "secret-word" not in str(caught.value)
    assert "postgresql://" in str(caught.value)


def test_a_server_that_is_not_there_is_a_storage_error_without_its_password():
    database = open_database("postgresql://user:secret-word@127.0.0.1:9/name")
    with pytest.raises(StorageError, match="the database failed") as caught, database.read():
        pass
    assert "secret-word" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_server_that_died_is_told_and_used_again_once_it_is_back(postgresql):
    url = postgresql.make()
    database = open_database(url)
    assert names(database) == {DEFAULT_PROJECT}

    def write_while_it_dies():
        with database.write() as connection:
            add_project(connection, "lost")
            postgresql.stop("immediate")
            add_project(connection, "lost, too")

    try:
        with pytest.raises(StorageError, match="the database failed"):
            write_while_it_dies()
        with pytest.raises(StorageError, match="the database failed"):
            names(database)
    finally:
        postgresql.start()
    assert names(database) == {DEFAULT_PROJECT}
    with database.write() as connection:
        add_project(connection, "kept")
    assert names(database) == {DEFAULT_PROJECT, "kept"}
    database.close()


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be made"):
        open_database(f"sqlite:///{tmp_path / 'file' / 'x.db'}")
