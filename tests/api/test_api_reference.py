"""docs/reference/http-api.md is true: its examples are sent, its tables compared with the code."""

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from serving_fakes import deployments, settings

from modwright.api.app import create_app
from modwright.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "http-api.md").read_text()
EXAMPLES = re.findall(r"```json POST (\S+)\n(.*?)```\n```json (\d+)\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize(("path", "body", "status", "answer"), EXAMPLES, ids=[path for path, *_ in EXAMPLES])
def test_an_example_is_answered_as_shown(path, body, status, answer):
    with TestClient(create_app(deployments(), settings())) as asked:
        response = asked.post(path, json=json.loads(body))
    text = re.sub(r"\b(mod-)?[0-9a-f]{32}\b", r"\1<32 hex>", response.text)
    found = json.loads(text, parse_float=lambda number: round(float(number), 6))
    assert (response.status_code, found) == (int(status), json.loads(answer))


def test_there_are_examples():
    assert len(EXAMPLES) >= 4


def test_every_limit_is_told_with_its_default():
    told = dict(re.findall(r"\| `MODWRIGHT_(\w+)` \| (\S+) \|", PAGE))
    of_others = {"max_unpacked_bytes", "max_attempts"}  # imports, workers
    limits = {
        name for name in Settings.model_fields if name.startswith(("max_", "request", "stall_"))
    } - of_others
    assert told == {name.upper(): str(Settings.model_fields[name].default) for name in limits}


def test_every_path_is_told():
    told = set(re.findall(r"\| `(?:GET|POST) (\S+)` \|", PAGE))
    document = create_app(deployments(), settings()).openapi()
    assert told == {path.replace("model_id", "id") for path in document["paths"]}
