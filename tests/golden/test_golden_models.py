"""Cards of models as both clients get them, kept as files; `GOLDEN=write pytest tests/golden` writes them anew."""

import json
import os
from pathlib import Path

import pytest
from serving_fakes import deployments

from modwright.api.schemas.models import (
    Archived,
    Deleted,
    ModelCard,
    ModelList,
    base_card,
    deployment_card,
    trained_card,
)
from modwright.storage.models import ModelRow

FOLDER = Path(__file__).parent / "models"
PROJECT = "8e2706f0-0000-4000-8000-000000000000"
ID = "ft:classifier:ministral-3b-latest:8e2706f0:20250416:cbe076ac"
ROW = ModelRow(
    id=ID,
    project_id=PROJECT,
    job_id="cbe076ac-0000-4000-8000-000000000000",
    name=None,
    description=None,
    root="all-MiniLM-L6-v2",
    archived=False,
    artifact_id="ab" * 32,
    manifest={},
    targets=[
        {"name": "moderation", "labels": ["insult", "safe"], "kind": "multi_label"},
        {"name": "tone", "labels": ["kind", "rude"], "kind": "single_label", "weight": 0.5},
    ],
    created_at=1_744_800_000.75,
)


def bodies():
    served = next(iter(deployments()))
    trained = trained_card(ROW, ["omni-moderation-latest"], 1_000_000)
    base = base_card(
        "balanced",
        ["ministral-3b-latest", "gpt-4o"],
        "'balanced' is a recipe",
        "balanced",
        PROJECT,
        1_000_000,
    )
    shown = {
        "fine_tuned": trained_card(ROW, [], 1_000_000, ["strict", "default"]),
        "served_from_a_folder": deployment_card(served, PROJECT, 1_000_000),
        "base": base,
    }
    return shown | {
        "list": {"object": "list", "data": [shown["served_from_a_folder"], trained, base]},
        "archive": {"id": ID, "object": "model", "archived": True},
        "unarchive": {"id": ID, "object": "model", "archived": False},
        "delete": {"id": ID, "object": "model", "deleted": True},
    }


@pytest.mark.parametrize("name", sorted(bodies()))
def test_the_bodies_of_models_are_as_kept(name):
    path, found = FOLDER / f"{name}.json", bodies()[name]
    if os.environ.get("GOLDEN") == "write":
        path.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    assert json.loads(path.read_text()) == found


def test_no_file_is_left_of_a_body_that_is_gone():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(bodies())


def test_every_body_is_what_the_openapi_document_says():
    shown = bodies()
    kinds = {"list": ModelList, "archive": Archived, "unarchive": Archived, "delete": Deleted}
    for name, body in shown.items():
        read = kinds.get(name, ModelCard).model_validate(body)
        assert read.model_dump(exclude_unset=True) == body


def test_every_card_says_of_every_capability_whether_the_model_has_it():
    cards = bodies()["list"]["data"]
    assert {frozenset(card["capabilities"]) for card in cards} == {frozenset(cards[0]["capabilities"])}
    assert [card["capabilities"]["classification"] for card in cards] == [True, True, False]
    assert [card["capabilities"]["fine_tuning"] for card in cards] == [False, False, True]
    assert not any(card["capabilities"]["completion_chat"] for card in cards)  # clients take absence for true
