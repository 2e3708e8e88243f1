"""Dry runs that do not come to an estimate; those that do are run with real weights, see tests/e2e/clients."""

import json

import pytest

from modwright.errors import DataError, OverloadedError, RequestError, UnavailableError
from modwright.jobs.dry_run import FOLDER, DryRun
from modwright.jobs.specs import JobSpec, TrainingFile
from modwright.settings import Settings
from modwright.storage.blobs import open_blobs
from modwright.storage.database import database_url, open_database
from modwright.storage.files import FileStore, NewFile
from modwright.storage.tables import DEFAULT_PROJECT


@pytest.fixture
def made(tmp_path):
    """Give what makes dry runs over settings, with a file whose third line is wrong."""
    settings = Settings(home=tmp_path)
    database = open_database(database_url(settings))
    database.migrate()
    blobs = open_blobs(settings, database)
    files = FileStore(database, blobs)
    rows = [{"text": f"goose {n}", "labels": {"moderation": ["insult"]}} for n in range(4)]
    rows[2]["labels"] = 5
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with blobs.writer() as writer:
        writer.write(content)
        info = writer.commit()
    file = files.add(DEFAULT_PROJECT, NewFile("train.jsonl", info.sha256, info.bytes))
    spec = JobSpec("fast", (TrainingFile(file.id),))
    yield lambda **changes: DryRun(settings.model_copy(update=changes), files, blobs), spec
    assert not (tmp_path / FOLDER).exists() or not list((tmp_path / FOLDER).iterdir())
    database.close()


def test_wrong_data_are_told_with_their_line(made):
    dry_run, spec = made
    with pytest.raises(RequestError) as caught:
        dry_run().estimate(DEFAULT_PROJECT, spec)
    assert "train.jsonl:3" in caught.value.message


def test_one_that_takes_too_long_is_ended(made):
    dry_run, spec = made
    with pytest.raises(UnavailableError, match="took longer than 0"):
        dry_run(max_request_s=0.1).estimate(DEFAULT_PROJECT, spec)


def test_one_goes_on_at_a_time(made):
    dry_run, spec = made
    busy = dry_run()
    with busy._busy, pytest.raises(OverloadedError):
        busy.estimate(DEFAULT_PROJECT, spec)
    with pytest.raises(DataError):
        busy.estimate(DEFAULT_PROJECT, JobSpec("fast", (TrainingFile("gone"),)))
    assert not busy._busy.locked(), "one that failed lets the next one in"
