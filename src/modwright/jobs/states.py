"""The states of a job, for everyone above storage; see `modwright.storage.job_states`, which the queue's SQL is held to."""

from modwright.storage.job_states import (
    CLAIMED,
    TERMINAL,
    TRANSITIONS,
    UNFINISHED,
    WORKING,
    Phase,
    Status,
)

__all__ = ["CLAIMED", "TERMINAL", "TRANSITIONS", "UNFINISHED", "WORKING", "Phase", "Status"]
