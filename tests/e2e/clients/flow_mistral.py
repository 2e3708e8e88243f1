# ruff: noqa: PTH123, SIM115
"""The notebook's cells, with the `mistralai` that is installed here: flow_mistral.py URL FOLDER. Prints what came of it.

Written as the notebook writes it: nothing is changed but the key and `server_url`, and what draws is left out. The
folder holds training_file.jsonl, validation_file.jsonl and test_file.jsonl. Knows nothing of modwright or pytest.
"""

import json
import os
import sys
import time
from importlib.metadata import version

if int(version("mistralai").split(".")[0]) >= 2:
    from mistralai.client import Mistral
else:
    from mistralai import Mistral

server_url = sys.argv[1]
os.chdir(sys.argv[2])
began = time.monotonic()

client = Mistral(api_key="unused", server_url=server_url)

# Upload the training data
training_data = client.files.upload(
    file={
        "file_name": "training_file.jsonl",
        "content": open("training_file.jsonl", "rb"),
    }
)

# Upload the validation data
validation_data = client.files.upload(
    file={
        "file_name": "validation_file.jsonl",
        "content": open("validation_file.jsonl", "rb"),
    }
)

# Create a fine-tuning job
created_job = client.fine_tuning.jobs.create(
    model="ministral-3b-latest",
    job_type="classifier",
    training_files=[{"file_id": training_data.id, "weight": 1}],
    validation_files=[validation_data.id],
    hyperparameters={"training_steps": 200, "learning_rate": 0.00005},
    auto_start=False,
)
created_status = created_job.status

# Retrieve the job details
retrieved_job = client.fine_tuning.jobs.get(job_id=created_job.id)

# Wait for the job to be validated
while retrieved_job.status not in ["VALIDATED"]:
    retrieved_job = client.fine_tuning.jobs.get(job_id=created_job.id)
    assert time.monotonic() - began < 300, retrieved_job  # the notebook would wait for ever
    time.sleep(1)
validated_job = retrieved_job

# Start the fine-tuning job
client.fine_tuning.jobs.start(job_id=created_job.id)

# Retrieve the job details again
retrieved_job = client.fine_tuning.jobs.get(job_id=created_job.id)
status_after_start = retrieved_job.status

train_losses, valid_losses = {}, {}

# Total training steps
total_training_steps = retrieved_job.hyperparameters.training_steps

# Wait for the job to complete
while retrieved_job.status in ["QUEUED", "RUNNING"]:
    retrieved_job = client.fine_tuning.jobs.get(job_id=created_job.id)

    if retrieved_job.status == "QUEUED":
        time.sleep(1)
        continue

    # Extract metrics from all checkpoints
    for checkpoint in retrieved_job.checkpoints[::-1]:
        metrics = checkpoint.metrics
        step_number = checkpoint.step_number
        if step_number not in train_losses:
            train_losses[step_number] = metrics.train_loss
            if metrics.valid_loss != 0:
                valid_losses[step_number] = metrics.valid_loss

    if len(retrieved_job.checkpoints) > 0:
        assert sorted(train_losses) == list(train_losses), "the newest come first"

    time.sleep(1)

# Load the test samples
with open("test_file.jsonl") as f:
    test_samples = [json.loads(line) for line in f.readlines()]

# Classify the first test sample
classifier_response = client.classifiers.classify(
    model=retrieved_job.fine_tuned_model,
    inputs=[test_samples[0]["text"]],
)
all_responses = client.classifiers.classify(
    model=retrieved_job.fine_tuned_model,
    inputs=[sample["text"] for sample in test_samples],
)
listed = client.fine_tuning.jobs.list(model="ministral-3b-latest", suffix=None)

print(
    json.dumps(
        {
            "version": version("mistralai"),
            "job": created_job.id,
            "listed": [job.id for job in listed.data],
            "statuses": [created_status, validated_job.status, status_after_start, retrieved_job.status],
            "targets": [[one.name, one.labels] for one in validated_job.classifier_targets],
            "validated_steps": validated_job.hyperparameters.training_steps,
            "expected_s": validated_job.metadata.expected_duration_seconds,
            "total_training_steps": total_training_steps,
            "train": sorted(train_losses.items()),
            "valid": sorted(valid_losses.items()),
            "model": retrieved_job.fine_tuned_model,
            "trained_tokens": retrieved_job.trained_tokens,
            "events": [(event.name, (event.data or {}).get("status")) for event in retrieved_job.events],
            "scores": [result["moderation"].scores for result in all_responses.results],
            "first": classifier_response.results[0]["moderation"].scores,
        }
    )
)
