"""Jobs as both dialects' clients get them, kept as files; `GOLDEN=write pytest tests/golden` writes them anew."""

import json
import os
from pathlib import Path

import pytest
from made_jobs import JOBS, MODEL, detail

from modwright.api.schemas.job_bodies import dry_run_body, job_body, job_detail_body, list_body
from modwright.api.schemas.openai_job_bodies import checkpoint_body, cursor_page, event_body, openai_job_body
from modwright.jobs.states import Status

FOLDER = Path(__file__).parent / "jobs"


def mistral(job):
    return job_detail_body(detail(job))


def bodies():
    shown = {}
    for name, job in JOBS.items():
        shown[f"mistral_{name}"] = mistral(job)
        shown[f"openai_{name}"] = openai_job_body(job)
    done = detail(JOBS["success"])
    steps = [checkpoint_body(done.job, step, 50) for step in done.checkpoints]
    return shown | {
        "mistral_list": list_body([job_body(JOBS["success"]), job_body(JOBS["queued"])], 2, has_more=False),
        "mistral_dry_run": dry_run_body(JOBS["validated"].result),
        "openai_list": list_body([openai_job_body(JOBS["success"])], 2, has_more=True),
        "openai_events": cursor_page([event_body(event) for event in reversed(done.events)], 2),
        "openai_checkpoints": cursor_page(steps, 10),
    }


@pytest.mark.parametrize("name", sorted(bodies()))
def test_the_bodies_of_jobs_are_as_kept(name):
    path, found = FOLDER / f"{name}.json", bodies()[name]
    if os.environ.get("GOLDEN") == "write":
        path.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    assert json.loads(path.read_text()) == json.loads(json.dumps(found, allow_nan=False))


def test_no_file_is_left_of_a_body_that_is_gone():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(bodies())


def test_every_status_is_shown_in_the_words_of_both():
    shown = {job.status: (job_body(job)["status"], openai_job_body(job)["status"]) for job in JOBS.values()}
    assert shown == {
        Status.QUEUED: ("QUEUED", "queued"),
        Status.VALIDATING: ("VALIDATING", "validating_files"),
        Status.VALIDATED: ("VALIDATED", "queued"),
        Status.RUNNING: ("RUNNING", "running"),
        Status.SUCCESS: ("SUCCESS", "succeeded"),
        Status.FAILED: ("FAILED", "failed"),
        Status.FAILED_VALIDATION: ("FAILED_VALIDATION", "failed"),
        Status.CANCELLED: ("CANCELLED", "cancelled"),
        Status.CANCELLATION_REQUESTED: ("CANCELLATION_REQUESTED", "cancelled"),
    }


def test_checkpoints_are_newest_first_and_zero_between_looks():
    body = mistral(JOBS["success"])
    losses = [(one["step_number"], one["metrics"]["valid_loss"]) for one in body["checkpoints"]]
    assert losses == [(50, 0.35), (49, 0.0), (25, 0.475), (1, 0.0)]
    assert [event["name"] for event in body["events"]] == [
        "status-updated",
        "status-updated",
        "training-plan",
    ]


def test_lists_a_notebook_counts_on_are_never_null():
    body = mistral(JOBS["queued"])
    assert (body["checkpoints"], body["training_files"]) == (
        [],
        [JOBS["queued"].spec["training_files"][0]["file_id"]],
    )
    # Before validation only what was declared whole is known: a client refuses a target without its loss.
    assert [target["name"] for target in body["classifier_targets"]] == ["moderation"]


def test_a_job_that_a_lost_worker_gave_back_has_not_failed_for_openai():
    assert openai_job_body(JOBS["lost"])["error"] is None
    assert mistral(JOBS["lost"])["error"]["code"] == "worker_lost"


def test_only_the_last_step_is_a_model():
    done = detail(JOBS["success"])
    named = [checkpoint_body(done.job, step, 50)["fine_tuned_model_checkpoint"] for step in done.checkpoints]
    assert named == [MODEL, "", "", ""]


def test_the_users_metadata_is_apart_from_the_jobs():
    body = mistral(JOBS["success"])
    assert body["user_metadata"] == {"team": "geese"}
    assert body["metadata"]["train_tokens"] == 100_000
    assert openai_job_body(JOBS["success"])["metadata"] == {"team": "geese"}


def test_numbers_that_json_does_not_have_become_none():
    from modwright.api.schemas.job_bodies import finite

    assert finite({"a": [float("nan"), 1.0], "b": float("inf")}) == {"a": [None, 1.0], "b": None}
