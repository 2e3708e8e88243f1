"""A home with a database, blobs, uploaded files and an operator's tiny recipes, as a server would have left it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass

import pytest

from modwright.jobs.job_run import Parts
from modwright.jobs.specs import Hyperparameters, JobSpec, TrainingFile
from modwright.jobs.worker import open_parts
from modwright.settings import Settings
from modwright.storage.files import NewFile
from modwright.storage.jobs import NewJob
from modwright.testing import tiny_encoder_recipe, tiny_recipe, tiny_records

PROJECT = "default"


@dataclass(frozen=True)
class Shop:
    """What a worker finds: `parts`, and jobs that are ordered from it."""

    parts: Parts

    def upload(self, records, name="rows.jsonl"):
        """Keep records as an uploaded file and return its id."""
        with self.parts.blobs.writer() as writer:
            writer.write("".join(f"{json.dumps(record)}\n" for record in records).encode())
            put = writer.commit()
        return self.parts.files.add(PROJECT, NewFile(name, put.sha256, put.bytes, num_lines=len(records))).id

    def order(
        self, model="tiny", *, rows=90, seed=0, auto_start=True, dialect="mistral", secrets=None, **more
    ):
        """Create a job on fresh files."""
        given = {"hyperparameters": Hyperparameters(training_steps=40), **more}
        spec = JobSpec(
            model,
            (TrainingFile(self.upload(tiny_records(rows, seed=seed), "train.jsonl")),),
            (self.upload(tiny_records(30, seed=seed + 1000), "held.jsonl"),),
            **given,
        )
        new = NewJob(
            PROJECT, dialect, model, spec.to_json(), spec.twin(), auto_start=auto_start, secrets=secrets
        )
        return self.parts.jobs.create(new)

    def job(self, job):
        """Return a job as it is now."""
        return self.parts.jobs.get(PROJECT, job.id)

    def told(self, job, name):
        """Return what its events of a name say."""
        return [event.message for event in self.parts.jobs.events(PROJECT, job.id) if event.name == name]

    def steps(self, job):
        """Return its steps, oldest first."""
        return self.parts.jobs.checkpoints(PROJECT, job.id, newest_first=False)


@pytest.fixture
def shop(tmp_path) -> Shop:
    """A server's home on SQLite, without anything to train with."""
    return Shop(open_parts(Settings(home=tmp_path / "home", lease_s=2.0)))


@pytest.fixture
def working_shop(tmp_path, tiny_base, tiny_base_folder, tiny_cache) -> Shop:
    """A server's home on SQLite whose cache holds the tiny base's graph, with names for two tiny recipes."""
    home = tmp_path / "home"
    shutil.copytree(tiny_cache / "graphs", home / "cache" / "graphs")
    steps = ("training.epochs=4", "checkpoints.every_steps=5", "evaluation.resamples=0")
    recipes = {
        "tiny": tiny_recipe(tiny_base_folder, "evaluation.resamples=0"),
        "tiny-encoder": tiny_encoder_recipe(tiny_base_folder, *steps),
    }
    aliases = {}
    for name, recipe in recipes.items():
        path = tmp_path / f"{name}.toml"
        path.write_text(recipe.to_toml(), encoding="utf-8")
        aliases[name] = str(path)
    settings = Settings(home=home, threads=1, job_aliases=aliases, lease_s=2.0, wandb_mode="offline")
    return Shop(open_parts(settings))
