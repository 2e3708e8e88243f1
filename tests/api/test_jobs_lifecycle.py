"""A job's life as clients of both dialects see it, while rows change as a worker changes them."""

import json

import pytest
from job_server import JOBS, OPENAI, OTHER, PROJECT, JobServer, found, problem

from modwright.jobs.specs import Hyperparameters, JobSpec, TrainingFile
from modwright.jobs.states import Status


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = JobServer(tmp_path_factory.mktemp("home"))
    yield server
    server.close()


@pytest.fixture
def training(server):
    """A training file; its last job is ended, so that the next one has no twin."""
    yield server.file()
    for job in server.jobs.list(PROJECT)[0]:
        if job.finished_at is None:
            server.jobs.cancel(PROJECT, job.id)


def test_a_notebooks_job_from_creation_to_its_model(server, training):
    validation = server.file("validation.jsonl")
    job = server.create(
        model="ministral-3b-latest",
        job_type="classifier",
        training_files=[{"file_id": training, "weight": 1}],
        validation_files=[validation],
        hyperparameters={"training_steps": 30, "learning_rate": 0.00005},
        invalid_sample_skip_percentage=0.0,
        auto_start=False,
    )
    assert (job["status"], job["object"], job["job_type"]) == ("QUEUED", "job", "classifier")
    assert job["hyperparameters"]["training_steps"] == 30
    assert (job["training_files"], job["validation_files"]) == ([training], [validation])
    server.validate()
    checked = server.get(job["id"])
    assert checked["status"] == "VALIDATED"
    assert checked["classifier_targets"][0]["labels"] == ["insult", "threat", "safe"]
    assert (checked["hyperparameters"]["epochs"], checked["hyperparameters"]["training_steps"]) == (1.5, 3)
    assert checked["metadata"]["estimated_start_time"] is None
    assert server.get(job["id"])["status"] == "VALIDATED", "it rests until it is started"
    started = server.post(job["id"], "/start")
    assert (started["status"], server.get(job["id"])["status"]) == ("QUEUED", "QUEUED")
    assert started["metadata"]["estimated_start_time"] >= job["created_at"]
    claim = server.train(end=False)
    running = server.get(job["id"])
    assert (running["status"], running["fine_tuned_model"]) == ("RUNNING", None)
    server.jobs.succeed(claim, "ft:made", lambda connection: None, trained_tokens=300)
    done = server.get(job["id"])
    assert (done["status"], done["fine_tuned_model"], done["trained_tokens"]) == ("SUCCESS", "ft:made", 300)
    steps = done["checkpoints"]
    assert [step["step_number"] for step in steps] == list(range(30, 0, -1))
    looks = [step["step_number"] for step in steps[::-1] if step["metrics"]["valid_loss"] != 0]
    assert looks == [25, 30]
    told = [event["data"]["status"] for event in done["events"] if event["name"] == "status-updated"]
    assert told == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS"], "no second QUEUED"


def test_a_job_starts_by_itself_unless_it_is_to_wait(server, training):
    for n, auto_start in enumerate([None, True]):
        told = {} if auto_start is None else {"auto_start": auto_start}
        job = server.create(training_files=[training], suffix=f"s{n}", **told)
        assert job["auto_start"] is True
        server.validate()
        assert server.get(job["id"])["status"] == "QUEUED"
        server.train(2)


def test_openais_job_from_creation_to_its_model(server, training):
    job = server.create(
        headers=OPENAI,
        model="gpt-4o-mini-2024-07-18",
        training_file=training,
        hyperparameters={"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5},
        suffix="our goose",
        metadata={"team": "geese"},
        seed=7,
    )
    assert (job["object"], job["status"], job["training_file"]) == ("fine_tuning.job", "queued", training)
    assert job["hyperparameters"] == {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5}
    assert (job["seed"], job["metadata"], job["error"]) == (7, {"team": "geese"}, None)
    seen = server.get(job["id"])
    assert (seen["status"], seen["auto_start"], seen["hyperparameters"]["learning_rate"]) == (
        "QUEUED",
        True,
        5e-5,
    )
    assert seen["hyperparameters"]["epochs"] == 2
    server.validate()
    server.train(40)
    done = server.get(job["id"], headers=OPENAI)
    assert (done["status"], done["fine_tuned_model"], done["trained_tokens"]) == ("succeeded", "ft:made", 300)
    assert done["finished_at"] >= done["created_at"]


def test_cursor_pages_end_and_show_each_once(server, training):
    job = server.create(headers=OPENAI, training_file=training)
    server.validate()
    server.train(25)
    for path, expected in (("/events", 6), ("/checkpoints", 25)):
        seen, after = [], {}
        for _ in range(30):
            page = server.get(job["id"], path, headers=OPENAI, limit=4, **after)
            seen += page["data"]
            if not page["has_more"]:
                break
            after = {"after": page["last_id"]}
        assert len(seen) == len({one["id"] for one in seen}) == expected
        assert [one["created_at"] for one in seen] == sorted(
            (one["created_at"] for one in seen), reverse=True
        )
        assert server.get(job["id"], path, after=seen[-1]["id"]) == {
            "object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None,
        }  # fmt: skip
    steps = server.get(job["id"], "/checkpoints", headers=OPENAI)["data"]
    assert [step["step_number"] for step in steps] == list(range(25, 15, -1)), "ten where no limit is given"
    assert [step["metrics"]["valid_loss"] for step in steps[:2]] == [0.08, None]
    assert [step["fine_tuned_model_checkpoint"] for step in steps[:2]] == ["ft:made", ""]


def test_the_shape_of_the_body_is_told_by_its_files_and_the_answers_by_the_asking(server, training):
    job = server.create(training_file=training)
    assert job["object"] == "job"
    server.jobs.cancel(PROJECT, job["id"])
    job = server.create(headers=OPENAI, training_files=[training], auto_start=False)
    assert job["object"] == "fine_tuning.job"
    assert server.get(job["id"])["auto_start"] is False
    for path, told in (("/openai", "fine_tuning.job"), ("/mistral", "job")):
        seen = server.client.get(f"{path}{JOBS}/{job['id']}", headers={"user-agent": "OpenAI/Python 3.54.0"})
        assert seen.json()["object"] == told
    for agent, told in (
        ("AsyncOpenAI/Python 1.0", "fine_tuning.job"),
        ("mistral-client-python/1.7.0", "job"),
    ):
        seen = server.client.get(f"{JOBS}/{job['id']}", headers={"user-agent": agent})
        assert seen.json()["object"] == told


def test_a_twin_is_refused_and_not_to_be_tried_again(server, training):
    body = {"training_files": [training], "hyperparameters": {"training_steps": 5}}
    first = server.create(**body)
    response = server.client.post(JOBS, json={"model": "fast", **body})
    assert response.status_code == 409
    assert response.headers["x-should-retry"] == "false"
    assert first["id"] in response.json()["message"]
    other = server.create(**(body | {"hyperparameters": {"training_steps": 6}}))
    assert other["id"] != first["id"]
    server.post(first["id"], "/cancel")
    assert server.create(**body)["id"] not in (first["id"], other["id"])


def test_cancelling(server, training):
    job = server.create(training_files=[training], auto_start=False)
    assert server.post(job["id"], "/cancel")["status"] == "CANCELLED"
    assert server.post(job["id"], "/cancel", headers=OPENAI)["status"] == "cancelled"
    assert "is CANCELLED" in server.post(job["id"], "/start", status=409)["message"]
    held = server.create(training_files=[training])
    server.claim("validate")
    assert server.post(held["id"], "/cancel")["status"] == "CANCELLATION_REQUESTED"
    assert server.get(held["id"], headers=OPENAI)["status"] == "cancelled"


def test_a_finished_job_is_neither_started_nor_cancelled(server, training):
    job = server.create(training_files=[training])
    server.validate()
    server.train(1)
    for path in ("/start", "/cancel"):
        assert "is SUCCESS" in server.post(job["id"], path, status=409)["message"]


def test_what_failed_says_why_in_both_dialects(server, training):
    job = server.create(training_files=[training])
    claim = server.claim("validate")
    error = {
        "code": "invalid_data", "message": "2 problems", "where": None, "remedy": "mend them",
        "problems": [{"message": "label is missing", "where": "train.jsonl:3"}],
    }  # fmt: skip
    server.jobs.fail(claim, error, Status.FAILED_VALIDATION)
    assert server.get(job["id"])["error"]["problems"][0]["where"] == "train.jsonl:3"
    assert server.get(job["id"], headers=OPENAI)["error"] == {
        "code": "invalid_training_file",
        "message": "2 problems: train.jsonl:3: label is missing (mend them)",
        "param": "training_file",
    }


def test_pausing_is_refused(server, training):
    job = server.create(headers=OPENAI, training_file=training)
    for path in ("/pause", "/resume"):
        assert "not " in server.post(job["id"], path, status=422, headers=OPENAI)["error"]["message"]
        server.post("nobody", path, status=404)


def test_another_projects_job_and_file_do_not_exist(server, training):
    spec = JobSpec(
        "fast", (TrainingFile(server.file(project=OTHER)),), hyperparameters=Hyperparameters(seed=1)
    )
    from modwright.storage.job_rows import NewJob

    job = server.jobs.create(NewJob(OTHER, "mistral", "fast", spec.to_json(), spec.twin()))
    for path in ("", "/events", "/checkpoints"):
        server.get(job.id, path, status=404)
    for path in ("/start", "/cancel", "/pause"):
        server.post(job.id, path, status=404)
    told = server.create(400, training_files=[spec.file_ids[0]])
    assert problem(told) == ("body.training_files.0", told["detail"][0]["msg"])
    assert "no file" in told["message"]
    assert job.id not in json.dumps(server.client.get(JOBS).json())
    assert server.client.get(JOBS, params={"after": job.id}).status_code == 404
    server.jobs.cancel(OTHER, job.id)


def test_a_key_of_a_tracker_is_sealed_and_never_shown(server, training):
    secret = "0123456789abcdef" * 6
    tracker = {"type": "wandb", "project": "watch", "api_key": secret, "name": "n", "run_name": "r"}
    job = server.create(training_files=[training], integrations=[tracker])
    shown = [
        job,
        server.get(job["id"]),
        server.get(job["id"], headers=OPENAI),
        server.client.get(JOBS).json(),
    ]
    assert secret not in json.dumps(shown)
    assert "api_key" not in json.dumps(shown)
    assert (job["integrations"][0]["project"], job["integrations"][0]["run_name"]) == ("watch", "r")
    claim = server.claim("validate")
    assert secret not in repr(claim)
    assert secret not in claim.secrets
    assert json.loads(server.sealer.open(claim.secrets)) == {"wandb": secret}


def test_native_keys_say_what_trains(server, training):
    job = server.create(
        model="ministral-3b-latest", training_files=[training], recipe="fast", overrides={"head.folds": 3}
    )
    assert (job["recipe"], job["overrides"], job["model"]) == (
        "fast",
        {"head.folds": 3},
        "ministral-3b-latest",
    )


def test_the_operators_names_lead_where_he_says(tmp_path):
    server = JobServer(tmp_path, job_aliases={"ministral-3b-latest": "fast", "ours": "minilm"})
    job = server.create(model="ministral-3b-latest", training_files=[server.file()])
    assert job["recipe"] == "fast"
    assert server.create(model="ours", training_files=[server.file("b")])["recipe"] == "balanced"
    server.close()


def test_declared_targets_are_those_of_the_files(server, training):
    target = {"name": "moderation", "labels": ["safe", "threat", "insult"], "loss_function": "multi_class"}
    job = server.create(training_files=[training], classifier_targets=[target])
    assert server.get(job["id"])["classifier_targets"] == [target | {"weight": 1.0}]
    told = server.create(400, training_files=[training], classifier_targets=[target | {"labels": ["insult"]}])
    assert problem(told)[0] == "body.training_files.0"
    assert "the label 'threat'" in told["message"]


def test_a_dry_run_needs_an_estimator(server, training):
    server.create(422, query="?dry_run=true", training_files=[training])
    assert server.client.get(JOBS).json()["total"] == len(server.client.get(JOBS).json()["data"])


def test_files_checked_when_nothing_was_known_are_taken(server):
    assert server.create(training_files=[server.file("unread.jsonl", summary=False)])["status"] == "QUEUED"
    assert found().lines == 100
