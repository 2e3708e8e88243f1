"""Files as they go over the wire in each dialect, kept as files: who changes a body changes a file.

`GOLDEN=write pytest tests/golden` writes the responses anew; read the difference before you commit.
"""

import json
import os
import re
from pathlib import Path

import pytest
from files_server import asking, kept

from modwright.jobs.checking import ProcessChecker

CASES = sorted((Path(__file__).parent / "files").glob("*.json"))
_TIMES = re.compile(r'"(created_at|expires_at)": ?\d+')


@pytest.fixture
def client(tmp_path):
    checker = ProcessChecker(parallel=1)
    with kept(tmp_path, checker) as factory, asking(factory) as made:
        yield made
    checker.close()


def normalised(response):
    """Return status, content type and body with ids, times and tokens replaced by their form."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>", response.text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "<32 hex>", text)
    text = _TIMES.sub(r'"\1": "<time>"', text)
    text = re.sub(r"token=[^\"]+", "token=<token>", text)
    kind = response.headers["content-type"]
    return {
        "status": response.status_code,
        "type": kind,
        "body": json.loads(text) if "json" in kind else text,
    }


def ask(client, request, file_id):
    form = request.get("form", {})
    if "file" in form:
        name, content = form["file"]
        parts = [(key, (None, value)) for key, value in form.items() if key != "file"]
        return client.post(request["path"], files=[*parts, ("file", (name, content.encode()))])
    return client.request(
        request["method"], request["path"].replace("<id>", file_id), headers=request.get("headers")
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_wire_is_as_kept(client, path):
    steps, file_id = json.loads(path.read_text()), ""
    for step in steps:
        response = ask(client, step["request"], file_id)
        if step["request"]["method"] == "POST" and response.status_code == 200:
            file_id = response.json()["id"]
        found = normalised(response)
        if os.environ.get("GOLDEN") == "write":
            step["response"] = found
        else:
            assert found == step["response"], step["request"]
    if os.environ.get("GOLDEN") == "write":
        path.write_text(json.dumps(steps, indent=2, ensure_ascii=False) + "\n")


def test_there_are_cases_for_both_dialects():
    assert {path.stem for path in CASES} >= {"mistral", "openai", "refused"}
