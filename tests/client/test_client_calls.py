"""Both clients against a real server: files, jobs, models, keys, health, and the errors they raise."""

import asyncio
import dataclasses
import hashlib
import json
import time

import pytest
from client_rig import ROWS, asking, rig

from modwright import AsyncClient
from modwright.client import Checkpoint, JobStatus, Target, TrainingFile, Wandb
from modwright.errors import (
    AuthenticationError,
    ConflictError,
    DataError,
    ForbiddenError,
    IntegrityError,
    ModelNotFoundError,
    NotFoundError,
    RequestError,
    TooLargeError,
    TrainingError,
    UnavailableError,
    UsageError,
)

GOOD = {"text": "hello", "labels": {"moderation": ["safe"]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory, checker):
    with rig(tmp_path_factory.mktemp("rig"), checker, max_upload_bytes=4_000_000) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def client(request, server):
    with asking(request.param, server.url, "") as made:
        yield made


@pytest.fixture
def trained(client, server):
    """A job that has succeeded."""
    file = client.files.upload(server.path())
    job = client.jobs.create("fast", file)
    server.validate()
    server.train()
    return client.jobs.get(job.id)


def test_a_file_goes_up_is_listed_comes_down_and_goes(client, server, tmp_path):
    path, told = server.path(), []
    file = client.files.upload(path, progress=lambda done, total: told.append((done, total)))
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert (file.filename, file.bytes, file.num_lines) == (path.name, size, 3)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.summary.targets["moderation"].labels == ("insult", "safe")
    assert client.files.upload(path) == file
    assert client.files.get(file.id) == file
    assert file in list(client.files.list(search=path.name))
    assert client.files.download(file.id, tmp_path) == tmp_path / path.name
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        client.files.download(file.id, tmp_path)
    client.files.download(file.id, tmp_path / path.name, replace=True)
    client.files.delete(file.id)
    with pytest.raises(NotFoundError, match=file.id):
        client.files.get(file.id)
    assert not list(client.files.list(search=path.name))
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_list_goes_over_all_pages_and_asks_for_no_more_than_is_taken(client, server, monkeypatch):
    monkeypatch.setattr("modwright.client.flow._PAGE", 2)
    sent = [client.files.upload(server.path(name=f"paged-{n}.txt"), purpose="evals").id for n in range(5)]
    assert [file.id for file in client.files.list(search="paged-")] == sent[::-1]
    begun = client.files.list(search="paged-")
    assert next(begun).id == sent[-1]
    begun.close()
    for file_id in sent:
        client.files.delete(file_id)


def test_wrong_lines_are_told_one_by_one(client, server):
    path = server.path(GOOD, '{"text": 3}', GOOD, "no json")
    with pytest.raises(DataError) as caught:
        client.files.upload(path)
    error = caught.value
    assert [problem.line for problem in error.problems] == [2, 4]
    assert f"{path}:4" in str(error)
    assert error.exit_code == 3
    assert error.request_id
    assert client.files.upload(path, invalid_sample_skip_percentage=0.5).summary.skipped == 2


def test_what_cannot_be_sent_or_taken(client, server, tmp_path):
    with pytest.raises(NotFoundError, match="no file"):
        client.files.upload(tmp_path / "none.jsonl")
    with pytest.raises(RequestError, match=r"expected plain \.jsonl") as caught:
        client.files.upload(server.path(name="rows.csv"))
    assert caught.value.where == "file"
    large = tmp_path / "large.jsonl"
    large.write_bytes(json.dumps(GOOD).encode() * 100_000)
    with pytest.raises(TooLargeError, match=r"larger than 4000000 bytes|uploads of 4,000,000"):
        client.files.upload(large)
    for name in ("", ".", ".."):
        with pytest.raises(UsageError, match="is no id"):
            client.files.delete(name)


@pytest.mark.parametrize("name", ["a/../b.jsonl", 'quo"ted.jsonl', "fünf\nzeilen.jsonl", "日本.jsonl"])
def test_a_strange_name_is_kept_and_leads_nowhere_else(client, server, tmp_path, name):
    file = client.files.upload(server.path(), filename=name)
    there = client.files.download(file.id, tmp_path)
    assert there.parent == tmp_path
    assert there.is_file()


def test_a_download_that_is_not_what_was_uploaded_is_refused(client, server, tmp_path, monkeypatch):
    file = client.files.upload(server.path())
    monkeypatch.setattr("modwright.client.file_calls.sha256_file", lambda path: "0" * 64)
    with pytest.raises(IntegrityError, match="sha256 differs"):
        client.files.download(file.id, tmp_path / "there")
    assert not list(tmp_path.iterdir())


def test_a_file_that_grows_while_it_is_sent_is_told(client, server):
    path = server.path()

    def grow(done, total):
        with path.open("a") as stream:
            stream.write("x" * 600_000)

    path.write_text(path.read_text() + " " * 600_000)
    with pytest.raises(UsageError, match="changed while it was sent"):
        client.files.upload(path, progress=grow)


def test_a_download_that_is_broken_off_leaves_nothing(client, server, tmp_path):
    file = client.files.upload(server.path())

    class StopError(Exception):
        pass

    def stop(done, total):
        assert [path.name for path in tmp_path.iterdir()]
        raise StopError

    with pytest.raises(StopError):
        client.files.download(file.id, tmp_path / "there", progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_download_that_is_cancelled_leaves_nothing(server, tmp_path):
    async def begin_and_cancel():
        async with AsyncClient(server.url, "") as client:
            file = await client.files.upload(server.path())
            loop, arrived = asyncio.get_running_loop(), asyncio.Event()

            def arrive(done, total):
                loop.call_soon_threadsafe(arrived.set)
                time.sleep(0.1)

            task = asyncio.create_task(client.files.download(file.id, tmp_path / "there", progress=arrive))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(begin_and_cancel())
    assert not list(tmp_path.iterdir())


def test_a_job_is_created_as_asked(client, server):
    file = client.files.upload(server.path())
    job = client.jobs.create(
        "fast",
        TrainingFile(file.id, 2.0),
        training_steps=30,
        learning_rate=5e-5,
        epochs=None,
        targets=[Target("moderation", ("insult", "safe"), 1.0, "multi_class")],
        overrides={"head.folds": 3},
        suffix="goose",
        auto_start=False,
        wandb=Wandb("moderation", name="mine"),
    )
    assert (job.status, job.auto_start, job.training_files) == (JobStatus.QUEUED, False, (file.id,))
    assert (job.hyperparameters.training_steps, job.hyperparameters.learning_rate) == (30, 5e-5)
    assert (job.overrides, job.suffix) == ({"head.folds": 3}, "goose")
    assert (job.integrations[0].project, job.integrations[0].name) == ("moderation", "mine")
    spec = server.factory.jobs.get("default", job.id).spec
    assert spec["training_files"] == [{"file_id": file.id, "weight": 2.0}]
    with pytest.raises(ConflictError, match="is the same and is QUEUED"):
        client.jobs.create("fast", [TrainingFile(file.id, 2.0)], **_same(job))
    assert client.jobs.cancel(job.id).status is JobStatus.CANCELLED
    assert client.jobs.cancel(job.id).status is JobStatus.CANCELLED
    with pytest.raises(ConflictError):
        client.jobs.start(job.id)


def _same(job):
    return {
        "training_steps": 30,
        "learning_rate": 5e-5,
        "targets": [Target("moderation", ("insult", "safe"), 1.0, "multi_class")],
        "overrides": {"head.folds": 3},
        "suffix": "goose",
        "auto_start": False,
    }


def test_a_job_that_cannot_be_names_the_field(client, server):
    file = client.files.upload(server.path())
    with pytest.raises(ModelNotFoundError, match="fats") as caught:
        client.jobs.create("fats", file)
    assert caught.value.where == "model"
    with pytest.raises(RequestError) as caught:
        client.jobs.create("fast", file, overrides={"head.fold": 3})
    assert caught.value.where == "overrides.head.fold"
    with pytest.raises(RequestError) as caught:
        client.jobs.create("fast", ["nofile"], learning_rate=2.0, training_steps=0)
    assert len(caught.value.problems) == 2
    with pytest.raises(UsageError, match="did you mean 'training_steps'"):
        client.jobs.create("fast", file, training_step=3)
    with pytest.raises(UsageError, match="did you mean 'status'"):
        list(client.jobs.list(state="QUEUED"))


def test_jobs_are_listed_by_what_they_are(client, server, trained):
    found = list(client.jobs.list(status=JobStatus.SUCCESS))
    assert trained.id in [job.id for job in found]
    assert all(job.status is JobStatus.SUCCESS for job in found)
    assert not list(client.jobs.list(model="none"))
    assert found[0].checkpoints == ()


def test_a_finished_job_has_its_figures(client, trained):
    assert trained.status.ended
    assert trained.rests
    assert trained.failure() is None
    assert trained.fine_tuned_model.startswith("ft:classifier:fast:default:")
    assert trained.targets == (Target("moderation", ("insult", "threat", "safe"), 1.0, "multi_class"),)
    assert (trained.estimate.cost, trained.estimate.train_tokens) == (0.25, 300)
    steps = client.jobs.checkpoints(trained.id)
    assert [step.step_number for step in steps] == list(range(1, 31))
    assert isinstance(steps[0], Checkpoint)
    assert (steps[0].train_loss, steps[0].valid_loss) == (1.0, None)
    assert steps[9].valid_loss == pytest.approx(0.2)
    statuses = [
        event.data["status"] for event in client.jobs.events(trained.id) if event.name == "status-updated"
    ]
    assert statuses == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS"]


def test_a_job_is_watched_until_it_rests_and_again_after_its_start(client, server):
    file = client.files.upload(server.path())
    job = client.jobs.create("fast", file, auto_start=False)
    watched = client.jobs.watch(job.id, every_s=0.01)
    first = next(watched)
    assert [event.data["status"] for event in first.events] == ["QUEUED"]
    server.validate()
    updates = list(watched)
    assert updates[-1].job.status is JobStatus.VALIDATED
    assert client.jobs.wait(job.id).rests
    assert client.jobs.start(job.id).status is JobStatus.QUEUED
    watched = client.jobs.watch(job.id, every_s=0.01)
    next(watched)
    claim = server.claim()
    server.steps(claim, 1, 3)
    steps = []
    while len(steps) < 3:
        steps += next(watched).checkpoints
    server.steps(claim, 3, 5)  # step 3 comes again as it was: nothing new
    server.publish(claim)
    steps += [step for update in watched for step in update.checkpoints]
    assert [step.step_number for step in steps] == [1, 2, 3, 4, 5]
    assert client.jobs.wait(job.id).fine_tuned_model


def test_waiting_for_a_job_that_fails_raises_what_it_failed_of(client, server):
    job = client.jobs.create("fast", client.files.upload(server.path()))
    with pytest.raises(UnavailableError, match="is still QUEUED after"):
        client.jobs.wait(job.id, timeout_s=0.02, every_s=0.01)
    server.refuse(code="invalid_data", message="no rows are left", where="rows.jsonl:3")
    with pytest.raises(DataError, match="no rows are left") as caught:
        client.jobs.wait(job.id)
    assert "rows.jsonl:3" in caught.value.where
    job = client.jobs.create("fast", client.files.upload(server.path()))
    server.validate()
    server.refuse(code="trainer_died", message="the trainer was killed")
    with pytest.raises(TrainingError, match="the trainer was killed"):
        client.jobs.wait(job.id)
    cancelled = client.jobs.create("fast", client.files.upload(server.path()))
    client.jobs.cancel(cancelled.id)
    with pytest.raises(TrainingError, match="is CANCELLED"):
        client.jobs.wait(cancelled.id)


def test_a_model_is_shown_renamed_archived_and_deleted(client, trained):
    name = trained.fine_tuned_model
    model = client.models.get(name)
    assert (model.id, model.type, model.job, model.root) == (name, "fine-tuned", trained.id, "fast")
    assert model.operating_points == ("default", "strict")
    assert model.targets == trained.targets
    assert name in [item.id for item in client.models.list()]
    assert "base" in {item.type for item in client.models.list()}
    assert client.models.update(name, name="Goose", description="geese").name == "Goose"
    assert client.models.update(name, description=None).name == "Goose"
    client.models.archive(name)
    assert client.models.get(name).archived
    client.models.unarchive(name)
    assert not client.models.get(name).archived
    alias = f"live-{trained.id[-4:]}"
    assert client.models.set_alias(name, alias).aliases == (alias,)
    assert client.models.get(alias).id == name
    with pytest.raises(ConflictError, match="is an alias"):
        client.models.delete(alias)
    assert client.models.drop_alias(name, alias).aliases == ()
    client.models.delete(name)
    with pytest.raises(ModelNotFoundError):
        client.models.get(name)
    with pytest.raises(ForbiddenError):
        client.models.delete("goose")


def test_health(client):
    found = client.health()
    assert (found.status, found.models, found.max_inputs) == ("ok", 1, 1_024)


def test_every_answer_is_frozen(client, trained):
    for answer in (trained, client.models.get("goose"), client.health(), client.moderate("goose")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(answer, dataclasses.fields(answer)[0].name, "other")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_keys_are_made_shown_once_and_revoked(tmp_path, checker, kind):
    with rig(tmp_path, checker) as server:
        with asking(kind, server.url, "") as open_client:
            admin = open_client.keys.create("admin", scopes=["admin", "read", "train", "classify"])
        assert admin.key not in repr(admin)
        with asking(kind, server.url, admin.key) as client:
            reader = client.keys.create("reader", scopes=["read"], expires_in_days=1.5)
            assert reader.expires_at - reader.created_at == pytest.approx(129_600, abs=5)
            assert {key.name for key in client.keys.list()} == {"admin", "reader"}
            with asking(kind, server.url, reader.key) as reading:
                assert list(reading.jobs.list()) == []
                with pytest.raises(ForbiddenError, match="lacks the scope 'train'"):
                    reading.files.upload(server.path(*ROWS))
                client.keys.revoke(reader.id)
                with pytest.raises(AuthenticationError):
                    list(reading.jobs.list())
        with asking(kind, server.url, "mw-nobody") as client, pytest.raises(AuthenticationError):
            list(client.files.list())
