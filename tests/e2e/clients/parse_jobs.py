"""Read the kept bodies of jobs with whatever client is installed here: parse_jobs.py FOLDER. Prints "passed".

A server in a thread answers with the files, so that each body takes the client's own way through its models. Runs under
many versions of both clients, so it knows nothing of modwright or pytest.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FOLDER = Path(sys.argv[1])
BODIES = {path.stem: path.read_text() for path in FOLDER.glob("*.json")}
STATES = sorted(
    name.removeprefix("openai_") for name in BODIES if f"mistral_{name[7:]}" in BODIES and name[0] == "o"
)
STATES.remove("list")


class Answer(BaseHTTPRequestHandler):
    """Answers `.../jobs/NAME` with the file of NAME in the dialect of the prefix, `.../jobs` with the list."""

    def do_GET(self):
        """Answer one request."""
        dialect, rest = self.path.lstrip("/").split("/v1/fine_tuning/jobs")
        rest = rest.partition("?")[0].strip("/")
        name = rest.rpartition("/")[2] or ("dry_run" if self.command == "POST" else "list")
        if name in ("start", "cancel"):
            name = rest.partition("/")[0]
        body = BODIES[f"{dialect}_{name}"].encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments):
        """Say nothing."""


def read_with_mistral(url):
    """Parse every state, the list and the started and cancelled job."""
    if int(version("mistralai").split(".")[0]) >= 2:
        from mistralai.client import Mistral
    else:
        from mistralai import Mistral
    client = Mistral(api_key="unused", server_url=f"{url}/mistral")  # 1.7.0 closes one that nobody holds
    jobs = client.fine_tuning.jobs
    for state in STATES:
        expected = json.loads(BODIES[f"mistral_{state}"])
        for call in (jobs.get, jobs.start, jobs.cancel):
            check_mistral(call(job_id=state), expected)
    page = jobs.list(page=0, page_size=2)
    assert page.total == 2
    assert [job.status for job in page.data] == ["SUCCESS", "QUEUED"]
    return version("mistralai")


def check_mistral(job, expected):
    """Compare what a notebook reads of a job."""
    for key in ("id", "status", "model", "training_files", "fine_tuned_model", "auto_start", "created_at"):
        assert getattr(job, key) == expected[key], key
    asked, given = job.hyperparameters, expected["hyperparameters"]
    assert asked.training_steps == given["training_steps"]
    assert (asked.learning_rate, asked.epochs) == (given["learning_rate"], given["epochs"])
    assert [target.name for target in job.classifier_targets] == [
        t["name"] for t in expected["classifier_targets"]
    ]
    assert [event.name for event in job.events] == [event["name"] for event in expected["events"]]
    steps = [(one.step_number, one.metrics.valid_loss) for one in job.checkpoints[::-1]]
    assert steps == [
        (one["step_number"], one["metrics"]["valid_loss"]) for one in expected["checkpoints"][::-1]
    ]
    assert job.metadata.train_tokens == expected["metadata"]["train_tokens"]
    assert job.integrations[0].project == "watch"
    assert not hasattr(job.integrations[0], "api_key")


def read_with_openai(url):
    """Parse every state, the pages; and fit each to its model strictly, which the client itself does not."""
    import openai

    jobs = openai.OpenAI(api_key="unused", base_url=f"{url}/openai/v1").fine_tuning.jobs
    for state in STATES:
        job = jobs.retrieve(state)
        type(job).model_validate(json.loads(BODIES[f"openai_{state}"]))
        assert (job.object, job.seed, job.integrations[0].wandb.project) == ("fine_tuning.job", 42, "watch")
        assert (job.error is None) == (job.status != "failed")
    page = jobs.list(limit=1)
    assert page.has_more
    assert page.data[0].status == "succeeded"
    for page, name in (
        (jobs.list_events("events"), "events"),
        (jobs.checkpoints.list("checkpoints"), "checkpoints"),
    ):
        kept = json.loads(BODIES[f"openai_{name}"])
        assert [one.id for one in page.data] == [one["id"] for one in kept["data"]]
        for one, body in zip(page.data, kept["data"], strict=True):
            type(one).model_validate(body)
    return openai.__version__


def main():
    """Serve the files to the client that is here."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        version("mistralai")
    except PackageNotFoundError:
        print("passed", read_with_openai(url))
    else:
        print("passed", read_with_mistral(url))


main()
