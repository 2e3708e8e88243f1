"""What may stand in a job's body and behind its question mark; every refusal names the field, and nothing is kept."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_server import JOBS, OPENAI, PROJECT, JobServer, dumps, found, problem

from modwright.schema import TargetKind


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = JobServer(tmp_path_factory.mktemp("home"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def files(server):
    """Ids by what the file is."""
    one = found(TargetKind.SINGLE_LABEL, ("good", "bad"))
    return {
        "train": server.file(),
        "valid": server.file("valid.jsonl"),
        "copy": server.file("copy.jsonl", content=b"train.jsonl of default"),
        "batch": server.file("batch.jsonl", purpose="batch"),
        "single": server.file("single.jsonl", summary=one),
        "tone": server.file("tone.jsonl", summary=found(target="tone")),
        "more": server.file("more.jsonl", summary=found(labels=("insult", "gossip"))),
        "wrong": server.file("wrong.jsonl", summary=found(skipped=3)),
    }


@pytest.fixture(autouse=True)
def nothing_is_kept(server):
    yield
    assert server.jobs.list(PROJECT)[1] == 0


def target(**changes):
    return [{"name": "moderation", "labels": ["insult", "threat", "safe"]} | changes]


#: What stands in the body beside model and a training file, where the problem is, and what is said of it.
WRONG = [
    ({"model": None}, "model", "found null"),
    ({"model": ""}, "model", "at least 1 character"),
    ({"training_files": []}, "training_files", "At least one training file is required"),
    ({"training_files": None}, "training_files", "found null"),
    ({"training_files": "train"}, "training_files", "found 'train'"),
    ({"training_files": [5]}, "training_files.0", "a file's id or an object with file_id"),
    ({"training_files": [{"weight": 1}]}, "training_files.0.file_id", "is missing"),
    ({"training_files": [{"file_id": "a", "wieght": 1}]}, "training_files.0.wieght", "did you mean 'weight'"),
    ({"training_files": [{"file_id": "a", "weight": 0}]}, "training_files.0.weight", "greater than 0"),
    ({"training_files": [{"file_id": "a", "weight": "1"}]}, "training_files.0.weight", "found '1'"),
    ({"training_files": ["../../etc/passwd"]}, "training_files.0", "no file '../../etc/passwd'"),
    ({"training_files": ["http://169.254.169.254/"]}, "training_files.0", "no file 'http"),
    ({"validation_files": [None]}, "validation_files.0", "found null"),
    ({"hyperparameters": None}, "hyperparameters", "found null"),
    ({"hyperparameters": {"training_steps": 0}}, "hyperparameters.training_steps", "greater than or equal to 1"),
    ({"hyperparameters": {"training_steps": 1.5}}, "hyperparameters.training_steps", "integer"),
    ({"hyperparameters": {"training_steps": True}}, "hyperparameters.training_steps", "found the boolean true"),
    ({"hyperparameters": {"training_steps": "200"}}, "hyperparameters.training_steps", "found '200'"),
    ({"hyperparameters": {"training_steps": 10**30}}, "hyperparameters.training_steps", "less than or equal"),
    ({"hyperparameters": {"learning_rate": 0}}, "hyperparameters.learning_rate", "greater than or equal"),
    ({"hyperparameters": {"learning_rate": 2}}, "hyperparameters.learning_rate", "less than or equal to 1"),
    ({"hyperparameters": {"weight_decay": -1}}, "hyperparameters.weight_decay", "greater than or equal to 0"),
    ({"hyperparameters": {"warmup_fraction": 1.1}}, "hyperparameters.warmup_fraction", "less than or equal to 1"),
    ({"hyperparameters": {"epochs": 0}}, "hyperparameters.epochs", "greater than 0"),
    ({"hyperparameters": {"seq_len": 99}}, "hyperparameters.seq_len", "greater than or equal to 100"),
    ({"hyperparameters": {"trainingsteps": 5}}, "hyperparameters.trainingsteps", "did you mean 'training_steps'"),
    ({"suffix": "a" * 19}, "suffix", "has 19 characters, at most 18"),
    ({"suffix": "///"}, "suffix", "holds no ASCII letter or digit"),
    ({"suffix": "a\0b"}, "suffix", "holds a NUL"),
    ({"auto_start": "no"}, "auto_start", "found 'no'"),
    ({"invalid_sample_skip_percentage": 0.6}, "invalid_sample_skip_percentage", "less than or equal to 0.5"),
    ({"job_type": "classifer"}, "job_type", "did you mean 'classifier'"),
    ({"auto_strat": True}, "auto_strat", "did you mean 'auto_start'"),
    ({"integrations": [{"type": "mlflow", "project": "a"}]}, "integrations.0.type", "found 'mlflow'"),
    ({"integrations": [{"type": "wandb"}]}, "integrations.0.project", "is missing"),
    ({"classifier_targets": target(labels=[])}, "classifier_targets.0.labels", "is empty"),
    ({"classifier_targets": target(labels=["a", "a"])}, "classifier_targets.0", "names the label 'a' twice"),
    ({"classifier_targets": target(name="a/b")}, "classifier_targets.0", "holds '/'"),
    ({"classifier_targets": target(weight=-1)}, "classifier_targets.0.weight", "greater than or equal to 0"),
    ({"classifier_targets": target(loss_function="multi")}, "classifier_targets.0.loss_function", "found 'multi'"),
    ({"classifier_targets": target() * 2}, "classifier_targets.1.name", "declares 'moderation' twice"),
    ({"classifier_targets": target(name="tone")}, "classifier_targets.0.name", "no training file has"),
    (
        {"classifier_targets": target(labels=["insult", "threat", "safe", "spam"])},
        "classifier_targets.0.labels",
        "no row has the label 'spam'",
    ),
    (
        {"classifier_targets": target(loss_function="single_class")},
        "training_files.0",
        "is multi_label in 'train.jsonl' and single_label by classifier_targets.0.loss_function",
    ),
    ({"recipe": "/etc/passwd"}, "recipe", "unknown recipe"),
    ({"recipe": "../fast"}, "recipe", "unknown recipe"),
    ({"overrides": {"head.fold": 3}}, "overrides.head.fold", "did you mean 'folds'"),
    ({"overrides": {"bases.0.name": "/root/base"}}, "overrides", "which the catalog does not have"),
    ({"overrides": {"data.sources": ["/etc"]}}, "overrides.data.sources", "not taken from a request"),
    ({"overrides": {"head.c": {"a": 1}}}, "overrides.head.c", "holds an object"),
    ({"overrides": []}, "overrides", "found a list of 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "where", "told"), WRONG, ids=[f"{n}-{case[1]}" for n, case in enumerate(WRONG)]
)
def test_a_wrong_body_is_refused_at_its_field(server, files, body, where, told):
    answer = server.create(400, **({"training_files": [files["train"]]} | body))
    place, message = problem(answer)
    assert place == f"body.{where}", answer["message"]
    assert told in answer["message"]
    assert answer["param"] == where
    assert message


@pytest.mark.parametrize(
    ("ids", "where", "told"),
    [
        ({"training_files": ["batch"]}, "training_files.0", "has the purpose 'batch', expected 'fine-tune'"),
        ({"training_files": ["train", "train"]}, "training_files.1", "is training_files.0 too"),
        ({"training_files": ["train", "copy"]}, "training_files.1", "the same bytes as training_files.0"),
        ({"training_files": ["train"], "validation_files": ["train"]}, "validation_files.0", "learned from"),
        ({"training_files": ["train"], "validation_files": ["copy"]}, "validation_files.0", "learned from"),
        ({"training_files": ["train", "single"]}, "training_files.1", "is single_label in 'single.jsonl'"),
        (
            {"training_files": ["train"], "validation_files": ["single"]},
            "validation_files.0",
            "is single_label",
        ),
        (
            {"training_files": ["train"], "validation_files": ["more"]},
            "validation_files.0",
            "the label 'gossip'",
        ),
        (
            {"training_files": ["train"], "validation_files": ["tone"]},
            "validation_files.0",
            "the target 'tone'",
        ),
        ({"training_files": ["wrong"]}, "training_files.0", "3 of the 100 lines of 'wrong.jsonl' are wrong"),
    ],
)
def test_files_that_contradict_each_other_are_refused(server, files, ids, where, told):
    answer = server.create(400, **{key: [files[name] for name in names] for key, names in ids.items()})
    assert answer["param"] == where
    assert told in answer["message"]


OPENAI_WRONG = [
    ({"training_file": None}, "training_file", "found null"),
    ({"training_file": "nothing"}, "training_file", "no file 'nothing'"),
    ({"validation_file": "batch"}, "validation_file", "has the purpose 'batch'"),
    ({"validation_file": "train"}, "validation_file", "is the file of training_file too"),
    ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs", "found 'many'"),
    ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs", "greater than 0"),
    ({"hyperparameters": {"batch_size": 1.5}}, "hyperparameters.batch_size", "integer"),
    ({"hyperparameters": {"learning_rate_multiplier": 1e9}}, "hyperparameters.learning_rate_multiplier", "less than"),
    ({"hyperparameters": {"nepochs": 1}}, "hyperparameters.nepochs", "did you mean 'n_epochs'"),
    ({"suffix": "a" * 65}, "suffix", "has 65 characters, at most 64"),
    ({"seed": -1}, "seed", "greater than or equal to 0"),
    ({"seed": 2**40}, "seed", "less than"),
    ({"metadata": {"a": 1}}, "metadata", "'a' is not a text"),
    ({"metadata": {str(n): "a" for n in range(17)}}, "metadata", "at most 16"),
    ({"integrations": [{"type": "wandb"}]}, "integrations.0.wandb", "is missing"),
    ({"auto_start": False}, "auto_start", "unknown key"),
    (
        {
            "hyperparameters": {"n_epochs": 1},
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        },
        "hyperparameters",
        "says otherwise than method",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "where", "told"), OPENAI_WRONG)
def test_a_wrong_body_in_openais_shape_is_refused_at_its_own_field(server, files, body, where, told):
    body = {"model": "fast", "training_file": files["train"]} | body
    if "validation_file" in body:
        body["validation_file"] = files[body["validation_file"]]
    response = server.client.post(JOBS, json=body, headers=OPENAI)
    assert response.status_code == 400, response.text
    answer = response.json()
    assert answer["error"]["param"] == where, answer["message"]
    assert told in answer["error"]["message"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"job_type": "completion"}, "job_type"),
        ({"repositories": [{"type": "github", "name": "a", "owner": "b"}]}, "repositories"),
    ],
)
def test_what_this_server_never_does_is_a_422_that_every_client_reads(server, files, body, where):
    answer = server.create(422, training_files=[files["train"]], **body)
    assert answer["param"] == where
    assert isinstance(answer["detail"], list)


@pytest.mark.parametrize("method", [{"type": "dpo"}, {"type": "supervised", "reinforcement": {}}])
def test_other_methods_are_a_422(server, files, method):
    body = {"model": "fast", "training_file": files["train"], "method": method}
    assert server.client.post(JOBS, json=body).status_code == 422


def test_an_unknown_model_names_the_nearest(server, files):
    answer = server.create(404, model="ministral-3b-lates", training_files=[files["train"]])
    assert "did you mean 'ministral-3b-latest'" in answer["message"]
    assert (answer["param"], answer["code"]) == ("model", "model_not_found")


@pytest.mark.parametrize("key", [12345678, "short key", "a\nb", "", "ä" * 40, ["secret"]])
def test_a_wrong_key_of_a_tracker_is_refused_without_showing_it(server, files, key):
    tracker = {"type": "wandb", "project": "a", "api_key": key}
    answer = server.create(400, training_files=[files["train"]], integrations=[tracker])
    assert answer["param"] == "integrations.0.api_key"
    assert str(key) not in answer["message"] or not key


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "[]",
        "null",
        "5",
        '"job"',
        "{",
        "[" * 100_000,
        dumps(overrides={"head.folds": 1})[:-1] + ', "x": NaN}',
        '{"model": "fast", "hyperparameters": {"learning_rate": 1e999}, "training_files": ["a"]}',
        '{"model": "fast", "hyperparameters": {"epochs": Infinity}}',
        '{"model": "fast", "training_files": ' + "1" * 5_000 + "}",
        '{"model": "\\ud800", "training_files": ["a"]}',
        '{"overrides": ' + '{"a":' * 40 + "1" + "}" * 40 + "}",
        json.dumps({"model": "fast", "overrides": {str(n): n for n in range(5_000)}}),
        json.dumps({"model": "fast", "training_files": ["a"] * 5_000}),
    ],
)
def test_hostile_bodies_are_refused(server, raw):
    response = server.client.post(JOBS, content=raw, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    assert len(response.text) < 5_000


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_KEYS = """model training_files validation_files hyperparameters suffix integrations auto_start job_type recipe overrides
invalid_sample_skip_percentage classifier_targets repositories training_file metadata seed method"""


@settings(max_examples=50)
@given(body=st.dictionaries(st.sampled_from(_KEYS.split()), _JSON), openai=st.booleans())
def test_no_body_makes_the_server_fail(server, body, openai):
    response = server.client.post(JOBS, json=body, headers=OPENAI if openai else {})
    assert 400 <= response.status_code < 500, response.text


def test_what_real_clients_send_beside_is_taken(server, files):
    job = server.create(
        training_files=[files["train"]],
        validation_files=None,
        suffix=None,
        integrations=None,
        repositories=None,
        classifier_targets=None,
        job_type=None,
        auto_start=False,
        hyperparameters={"training_steps": None, "learning_rate": 0.0001, "fim_ratio": 0.9, "seq_len": None},
    )
    server.jobs.cancel(PROJECT, job["id"])
    with server.factory.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM job_events")
        connection.exec_driver_sql("DELETE FROM jobs")


def test_bad_lines_are_taken_as_far_as_they_are_tolerated(server, files):
    job = server.create(training_files=[files["wrong"]], invalid_sample_skip_percentage=0.03)
    assert job["status"] == "QUEUED"
    with server.factory.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM job_events")
        connection.exec_driver_sql("DELETE FROM jobs")
