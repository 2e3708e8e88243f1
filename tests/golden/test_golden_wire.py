"""Requests and responses as they go over the wire, kept as files: who changes a body changes a file.

`GOLDEN=write pytest tests/golden` writes the responses anew; read the difference before you commit.
"""

import json
import os
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from serving_fakes import deployments, settings

from modwright.api.app import create_app

CASES = sorted((Path(__file__).parent / "wire").glob("*.json"))


@pytest.fixture(scope="module")
def asked():
    with TestClient(create_app(deployments(), settings())) as client:
        yield client


def normalised(response):
    """Return status and body with every id replaced by its form and scores to six digits."""
    text = re.sub(r"\b(mod-)?[0-9a-f]{32}\b", r"\1<32 hex>", response.text)
    body = json.loads(text, parse_float=lambda number: round(float(number), 6))
    return {"status": response.status_code, "body": body}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_wire_is_as_kept(asked, path):
    case = json.loads(path.read_text())
    request = case["request"]
    response = asked.request(
        request["method"], request["path"], json=request.get("body"), headers=request.get("headers")
    )
    found = normalised(response)
    if os.environ.get("GOLDEN") == "write":
        path.write_text(
            json.dumps({"request": request, "response": found}, indent=2, ensure_ascii=False) + "\n"
        )
    else:
        assert found == case["response"]


def test_there_are_cases_for_every_path():
    paths = {json.loads(path.read_text())["request"]["path"] for path in CASES}
    assert len(CASES) >= 15
    assert {"/v1/classifications", "/v1/moderations", "/v1/models", "/v1/models/goose", "/health"} <= paths
