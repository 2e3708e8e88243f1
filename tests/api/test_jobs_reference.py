"""docs/reference/http-jobs.md is true: its tables are compared with the OpenAPI document, the bodies and the code."""

import re
from pathlib import Path

import pytest
from job_server import JobServer
from pydantic import ValidationError

from docs_pages import ROOT
from modwright.api.schemas.job_bodies import DryRunBody, JobBody, JobCheckpoint, JobDetailBody, JobEvent
from modwright.api.schemas.job_queries import _DEFAULT_PAGE, MAX_PAGE, JobQuery
from modwright.api.schemas.jobs import JobHyperparameters, JobIntegration, JobRequest, JobTarget
from modwright.api.schemas.openai_job_bodies import STATUS, OpenAICheckpoint, OpenAIEvent, OpenAIJobBody
from modwright.api.schemas.openai_jobs import OpenAIHyperparameters, OpenAIJobRequest
from modwright.jobs.states import Status
from modwright.storage.job_queue import REQUEUED, STATUS_UPDATED

PAGE = (ROOT / "docs" / "reference" / "http-jobs.md").read_text(encoding="utf-8")
TRAINER = ROOT / "src" / "modwright" / "jobs" / "trainer.py"


def part(heading):
    """Return what stands below a heading."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(heading, head):
    """Return the cells of the table with a first head below a heading."""
    text = part(heading).partition(f"| {head} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()[2:]]


def names(heading, head):
    """Return every name in the first column of a table."""
    return [name for first, *_ in rows(heading, head) for name in re.findall(r"`([^`]+)`", first)]


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    server = JobServer(tmp_path_factory.mktemp("reference"))
    yield server.client.get("/openapi.json").json()
    server.close()


def test_every_path_is_told_with_its_scope(document):
    told = set(re.findall(r"^\| (GET|POST) `(\S+)` \| (\w+) \|", PAGE, re.MULTILINE))
    assert told == {
        (method.upper(), path, operation["security"][0]["key"][0])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/v1/fine_tuning/jobs")
    }


def test_every_field_of_a_request_is_told():
    shape = "Create, in Mistral's shape"
    assert set(names(shape, "field")) == set(JobRequest.model_fields)
    assert set(names(shape, "hyperparameter")) == set(JobHyperparameters.model_fields)
    told = part(shape)
    for model in (JobIntegration, JobTarget):
        assert all(f"`{name}`" in told for name in model.model_fields)
    shape = "Create, in OpenAI's shape"
    assert set(names(shape, "field")) == set(OpenAIJobRequest.model_fields)
    assert all(f"`{name}`" in part(shape) for name in OpenAIHyperparameters.model_fields)
    required = {cells[0].strip("` ") for cells in rows(shape, "field") if cells[1] == "required"}
    assert required == {name for name, field in OpenAIJobRequest.model_fields.items() if field.is_required()}


def numbers(text):
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:e-?\d+)?", text)]


def test_the_range_of_every_hyperparameter_holds():
    checked = 0
    for first, told, *_ in rows("Create, in Mistral's shape", "hyperparameter"):
        name, bounds = first.strip("`| "), numbers(told)
        if not bounds:
            continue
        whole = "int" in str(JobHyperparameters.model_fields[name].annotation)
        low, high = (int(bound) if whole else bound for bound in bounds)
        accepted = [high] if told.startswith("above") else [low, high]
        refused = [low if told.startswith("above") else low - 1, high + 1]
        for value in accepted:
            JobHyperparameters.model_validate({name: value})
        for value in refused:
            with pytest.raises(ValidationError):
                JobHyperparameters.model_validate({name: value})
        checked += 1
    assert checked == 8


def test_every_field_of_an_answer_is_told():
    assert set(names("A job, in Mistral's shape", "field")) == set(JobDetailBody.model_fields)
    told = part("A job, in Mistral's shape")
    for model in (JobEvent, JobCheckpoint):
        assert all(f"`{name}`" in told for name in model.model_fields)
    apart = [cells[0] for cells in rows("A job, in Mistral's shape", "field") if "Not in lists" in cells[-1]]
    assert {name.strip("`| ") for name in apart} == set(JobDetailBody.model_fields) - set(
        JobBody.model_fields
    )
    assert set(names("A job, in OpenAI's shape", "field")) == set(OpenAIJobBody.model_fields)
    told = part("Events")
    for model in (OpenAIEvent, OpenAICheckpoint):
        assert all(f"`{name}`" in told for name in model.model_fields)
    own = {"object", "details", "epochs", "training_steps"}
    assert all(f"`{name}`" in part("Dry runs") for name in own)
    in_metadata = set(DryRunBody.model_fields) - own - {"job_type", "deprecated"}
    assert all(f"`{name}`" in part("A job, in Mistral's shape") for name in in_metadata)


def test_statuses_are_those_of_both_dialects():
    told = {first.strip("`| "): other.strip("`") for first, other, *_ in rows("Statuses", "status")}
    assert told == {str(status): STATUS[status] for status in Status}


def test_every_refusal_is_in_the_document(document):
    path = document["paths"]["/v1/fine_tuning/jobs"]["post"]
    assert {cells[0].strip("| ") for cells in rows("Refusals", "status")} <= set(path["responses"])


def test_every_event_is_told_with_its_level():
    source = TRAINER.read_text(encoding="utf-8")
    written = set(re.findall(r'Note\(\s*"([\w-]+)"', source)) | {"warning", "note"}
    assert 'Note("warning" if told in result["ignored"] else "note"' in source
    levels = {first.strip("`| "): level for first, level, *_ in rows("Events", "name")}
    assert set(levels) == written | {STATUS_UPDATED, REQUEUED}
    assert {name for name, level in levels.items() if level == "warn"} == {
        "warning",
        "note",
        "skipped-line",
        REQUEUED,
    }


def test_every_parameter_of_the_list_is_told():
    told = set(names("Lists", "parameter"))
    assert {name.replace("metadata[key]", "metadata") for name in told} == set(JobQuery.model_fields)
    assert f"at most {MAX_PAGE:,}" in part("Lists")
    assert [str(size) for size in _DEFAULT_PAGE.values()] == ["100", "20"]


def test_the_other_pages_lead_here():
    assert "(http-jobs.md)" in Path(ROOT / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8")
