"""The OpenAPI document says what the server does."""

import subprocess
import sys

import pytest
from fastapi.testclient import TestClient
from serving_fakes import deployments, settings

from modwright.api.app import create_app

EXPECTED_POST = {"200", "400", "404", "409", "413", "415", "429", "500", "503"}
EXPECTED_GET = {
    "/v1/models": {"200"},
    "/v1/models/{model_id}": {"200", "404"},
    "/health": {"200", "503"},
}


@pytest.fixture
def document():
    with TestClient(create_app(deployments(), settings())) as client:
        return client.get("/openapi.json").json()


def test_every_operation_declares_its_errors_in_the_one_shape(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            expected = EXPECTED_POST if method == "post" else EXPECTED_GET[path]
            assert set(operation["responses"]) == expected, path
            for status, response in operation["responses"].items():
                reference = response["content"]["application/json"]["schema"]["$ref"]
                assert (reference == "#/components/schemas/ErrorBody") is (status != "200")


def test_every_reference_leads_somewhere_and_no_tag_of_ours_leaks(document):
    found = []

    def walk(value):
        if isinstance(value, dict):
            if "$ref" in value:
                found.append(value["$ref"])
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)
    assert len(found) > 20
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    assert "<text" not in str(document)
    assert "<object" not in str(document)


def test_request_bodies_are_those_that_are_parsed(document):
    for path in (
        "/v1/classifications",
        "/v1/chat/classifications",
        "/v1/moderations",
        "/v1/chat/moderations",
    ):
        reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"][
            "$ref"
        ]
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert schema["additionalProperties"] is False
        required = {"input"} if "moderations" in path else {"input", "model"}
        assert set(schema["required"]) == required


def test_the_application_imports_without_what_only_training_needs():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "polars", "onnx", "sklearn", "pandas"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import modwright.api.app, modwright.cli.serve
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
