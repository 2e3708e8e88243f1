"""The queue's promises on both databases; see `jobs_queue_machine`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from jobs_queue_machine import QueueMachine


def test_every_job_ends_once_and_late_writes_are_refused(database):
    examples = 40 if database.engine.dialect.name == "sqlite" else 10
    machine = type("Machine", (QueueMachine,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
