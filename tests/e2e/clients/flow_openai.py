# ruff: noqa: PTH123
"""The same flow with the `openai` that is installed here: flow_openai.py URL FOLDER. Prints what came of it.

The folder holds training_file.jsonl, validation_file.jsonl and test_file.jsonl. Knows nothing of modwright or pytest.
"""

import json
import os
import sys
import time

import openai

os.chdir(sys.argv[2])
client = openai.OpenAI(api_key="unused", base_url=f"{sys.argv[1]}/v1")
began = time.monotonic()


def upload(name):
    """Upload a file and wait until it may be used."""
    with open(name, "rb") as content:
        file = client.files.create(file=content, purpose="fine-tune")
    file = client.files.wait_for_processing(file.id)
    assert file.status == "processed"
    return file


training, validation = upload("training_file.jsonl"), upload("validation_file.jsonl")
job = client.fine_tuning.jobs.create(
    model="gpt-4o-mini-2024-07-18",
    training_file=training.id,
    validation_file=validation.id,
    method={
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": "auto", "batch_size": "auto"}},
    },
    suffix="geese",
    seed=7,
)
created = job.status
seen = [created]
while job.status not in ("succeeded", "failed", "cancelled"):
    assert time.monotonic() - began < 300, job
    time.sleep(1)
    job = client.fine_tuning.jobs.retrieve(job.id)
    if job.status != seen[-1]:
        seen.append(job.status)

events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))
checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=7))
assert len({one.id for one in events}) == len(events)
assert len({one.id for one in checkpoints}) == len(checkpoints)
jobs = [one.id for one in client.fine_tuning.jobs.list(limit=2)]
with open("test_file.jsonl") as lines:
    texts = [json.loads(line)["text"] for line in lines]
moderated = client.moderations.create(model=job.fine_tuned_model, input=texts)
classified = client.post(
    "/classifications", cast_to=object, body={"model": job.fine_tuned_model, "input": texts}
)
print(
    json.dumps(
        {
            "version": openai.__version__,
            "job": job.id,
            "listed": jobs,
            "statuses": seen,
            "seed": job.seed,
            "hyperparameters": job.hyperparameters.model_dump(),
            "model": job.fine_tuned_model,
            "trained_tokens": job.trained_tokens,
            "error": job.error and job.error.message,
            "events": [event.message for event in events],
            "train": [[one.step_number, one.metrics.train_loss] for one in checkpoints[::-1]],
            "valid": [
                [one.step_number, one.metrics.valid_loss]
                for one in checkpoints[::-1]
                if one.metrics.valid_loss
            ],
            "checkpoint_models": [one.fine_tuned_model_checkpoint for one in checkpoints],
            "scores": [result["moderation"]["scores"] for result in classified["results"]],
            "flagged": [result.flagged for result in moderated.results],
        }
    )
)
