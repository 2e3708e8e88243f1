"""A server with a real SQLite database behind it, files as an upload leaves them, and jobs as a worker makes them."""

import json

from fastapi.testclient import TestClient
from serving_fakes import deployments
from sqlalchemy import insert

from modwright.api.app import create_app
from modwright.api.factory import Factory
from modwright.jobs.file_summary import FileSummary, FoundTarget
from modwright.jobs.service import JobService
from modwright.schema import TargetKind
from modwright.settings import Settings
from modwright.storage.blobs import open_blobs
from modwright.storage.database import database_url, open_database
from modwright.storage.files import FileStore, NewFile
from modwright.storage.job_rows import NewCheckpoint, NewEvent
from modwright.storage.jobs import JobStore
from modwright.storage.projects import KeyStore
from modwright.storage.secrets import Sealer
from modwright.storage.tables import projects

PROJECT, OTHER = "default", "another"
JOBS = "/v1/fine_tuning/jobs"
OPENAI = {"x-api-dialect": "openai"}
LABELS = ("insult", "threat", "safe")
RESULT = {
    "recipe": "balanced",
    "why": "so",
    "plan": "trains the recipe 'balanced'",
    "targets": [
        {"name": "moderation", "labels": list(LABELS), "weight": 1.0, "loss_function": "multi_class"}
    ],
    "hyperparameters": {"training_steps": 3, "learning_rate": 1e-4, "epochs": 1.5, "seed": 42},
    "metadata": {"expected_duration_seconds": 60, "train_tokens": 300, "cost": 0.0},
}


def found(kind=TargetKind.MULTI_LABEL, labels=LABELS, target="moderation", lines=100, skipped=0):
    """Return what the check of a file found."""
    return FileSummary({target: FoundTarget(kind, tuple(labels))}, lines, skipped, 5_000)


class JobServer:
    """The parts, and what a client and a worker do with them."""

    def __init__(self, home, **settings):
        self.settings = Settings(home=home, **settings)
        database = open_database(database_url(self.settings))
        database.migrate()
        with database.write() as connection:
            connection.execute(insert(projects).values(id=OTHER, name=OTHER, created_at=0.0))
        self.blobs = open_blobs(self.settings, database)
        self.files, self.jobs = FileStore(database, self.blobs), JobStore(database)
        self.sealer = Sealer(self.settings)
        self.factory = Factory(
            database=database,
            blobs=self.blobs,
            projects=None,
            keys=KeyStore(database),
            files=self.files,
            jobs=self.jobs,
            models=None,
            service=JobService(self.settings, self.files, self.jobs, self.sealer),
            checker=None,
            sealer=self.sealer,
        )
        self.client = TestClient(create_app(deployments(), self.settings, self.factory))

    def close(self):
        """Close the database; the application closes its checker, too."""
        self.factory.database.close()

    def file(self, name="train.jsonl", *, summary=None, content=None, project=PROJECT, **changes):
        """Add a file of its own bytes, and return its id."""
        content = content or f"{name} of {project}".encode()
        with self.blobs.writer() as writer:
            writer.write(content)
            info = writer.commit()
        summary = found() if summary is None else summary
        new = NewFile(
            name,
            info.sha256,
            info.bytes,
            summary=summary.to_json() if summary else None,
            **changes,
        )
        return self.files.add(project, new).id

    def create(self, status=200, *, headers=None, query="", **body):
        """Create a job over HTTP and return the answer's body; `status` is expected."""
        body = {"model": "fast", "hyperparameters": {}} | body
        response = self.client.post(JOBS + query, json=body, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    def get(self, job_id, path="", *, status=200, headers=None, **query):
        """Return the body of a GET below a job."""
        response = self.client.get(f"{JOBS}/{job_id}{path}", headers=headers, params=query)
        assert response.status_code == status, response.text
        return response.json()

    def post(self, job_id, path, *, status=200, headers=None):
        """Return the body of a POST below a job."""
        response = self.client.post(f"{JOBS}/{job_id}{path}", headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    def claim(self, phase):
        """Take the job that is due, as a worker does."""
        claim = self.jobs.claim("worker", 60.0)
        assert claim is not None
        assert claim.phase == phase
        return claim

    def validate(self):
        """Do the validation that is due; its result is kept."""
        claim = self.claim("validate")
        self.jobs.validated(claim, RESULT, [NewEvent("training-plan", RESULT["plan"])])
        return claim

    def train(self, steps=30, *, end=True):
        """Do the training that is due: losses that fall, looks at every 25th step and the last."""
        claim = self.claim("train")
        self.jobs.add_checkpoints(
            claim,
            [
                NewCheckpoint(n, 1.0 / n, 2.0 / n if n % 25 == 0 or n == steps else None, 1e-4, 10)
                for n in range(1, steps + 1)
            ],
        )
        if end:
            self.jobs.succeed(claim, "ft:made", lambda connection: None, trained_tokens=300)
        return claim


def problem(answer):
    """Return where and what the first problem of an error is."""
    first = answer["detail"][0]
    return ".".join(map(str, first["loc"])), first["msg"]


def dumps(**body):
    """Return a job's body as text, so that it can be made wrong."""
    return json.dumps({"model": "fast", "hyperparameters": {}} | body)
