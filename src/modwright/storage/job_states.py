"""The states of a job and the ways between them, as data; `JobStore` guards each by one statement.

    QUEUED(validate) -> VALIDATING -> VALIDATED -> QUEUED(train) -> RUNNING -> SUCCESS
                            |             (start, or at once)          |
                            +-> FAILED_VALIDATION, FAILED              +-> FAILED

A claimed job whose worker is lost goes back to QUEUED of the same phase. Cancelling ends a job that no worker holds at
once; one that is held becomes CANCELLATION_REQUESTED until its worker lets go.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """What a job shows: the ten words of Mistral's API, of which STARTED is never used."""

    QUEUED = "QUEUED"
    STARTED = "STARTED"
    VALIDATING = "VALIDATING"
    VALIDATED = "VALIDATED"
    RUNNING = "RUNNING"
    FAILED_VALIDATION = "FAILED_VALIDATION"
    FAILED = "FAILED"
    SUCCESS = "SUCCESS"
    CANCELLED = "CANCELLED"
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"


class Phase(StrEnum):
    """What a claimed job does, or a queued one waits for."""

    VALIDATE = "validate"
    TRAIN = "train"


#: Ended: nothing changes any more.
TERMINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.FAILED_VALIDATION, Status.CANCELLED})
#: Not ended: a job of the same content would be its twin.
UNFINISHED = frozenset(Status) - TERMINAL - {Status.STARTED}
#: A worker holds the job, or held it when its lease ended.
CLAIMED = frozenset({Status.VALIDATING, Status.RUNNING, Status.CANCELLATION_REQUESTED})

#: What a claim makes of a queued job.
WORKING: Mapping[Phase, Status] = {Phase.VALIDATE: Status.VALIDATING, Phase.TRAIN: Status.RUNNING}

#: Status to those that may follow it.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.VALIDATING, Status.RUNNING, Status.CANCELLED}),
    Status.VALIDATING: frozenset(
        {
            Status.VALIDATED,
            Status.QUEUED,  # started at once, or its worker was lost
            Status.FAILED_VALIDATION,
            Status.FAILED,
            Status.CANCELLED,
            Status.CANCELLATION_REQUESTED,
        }
    ),
    Status.VALIDATED: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.RUNNING: frozenset(
        {
            Status.SUCCESS,
            Status.FAILED,
            Status.QUEUED,
            Status.CANCELLED,
            Status.CANCELLATION_REQUESTED,
        }
    ),
    Status.CANCELLATION_REQUESTED: frozenset({Status.CANCELLED}),
    **{status: frozenset() for status in TERMINAL},
    Status.STARTED: frozenset(),
}
