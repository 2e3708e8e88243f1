"""The review band over HTTP: verdicts in classifications where the model has a band, and the client reads them."""

import pytest
from fastapi.testclient import TestClient
from serving_fakes import FakeClassifier, deployments, engine, settings

from modwright.api.app import create_app
from modwright.api.schemas.mistral import ClassificationResponse
from modwright.client.answers import Classification, read
from modwright.evaluation.review import LabelBand, Promise, ReviewBand
from modwright.serving.deployments import Deployment, Deployments

TEXTS = ["silly goose goose", "hello there"]


@pytest.fixture
def asked():
    made = engine(FakeClassifier())
    band = LabelBand(0.2, 0.5, "", 50, 50, None)
    floor = LabelBand(0.3, 0.3, "", 50, 50, None)
    made.review = ReviewBand(
        Promise(0.05, 0.05),
        {
            "moderation": dict.fromkeys(("insult", "threat"), band),
            "tone": dict.fromkeys(("kind", "rude"), floor),
        },
        {},
        {},
    )
    with TestClient(
        create_app(Deployments([Deployment("goose", made, settings())], settings()), settings())
    ) as client:
        yield client


def test_a_classification_gives_the_verdict_of_every_target(asked):
    body = asked.post("/v1/classifications", json={"model": "goose", "input": TEXTS}).json()
    ClassificationResponse.model_validate(body)
    rude, calm = body["results"]
    assert rude["moderation"]["review"] == "act"
    assert rude["moderation"]["review_by_label"] == {"insult": "act", "threat": "pass"}
    assert calm["moderation"]["review"] == "pass"
    assert (rude["tone"]["review"], calm["tone"]["review"]) == ("review", "act")
    first = read(Classification, body).results[0]["moderation"]
    assert (first.review, first.review_by_label) == ("act", {"insult": "act", "threat": "pass"})


def test_a_verdict_is_the_same_at_every_operating_point(asked):
    answers = [
        asked.post(
            "/v1/classifications", json={"model": "goose", "input": TEXTS, "operating_point": name}
        ).json()
        for name in ("default", "strict")
    ]
    verdicts = [[result["moderation"]["review"] for result in body["results"]] for body in answers]
    assert verdicts[0] == verdicts[1]


def test_moderations_keep_to_their_dialects(asked):
    result = asked.post("/v1/moderations", json={"model": "goose", "input": TEXTS[0]}).json()["results"][0]
    assert "review" not in result


def test_a_model_without_a_band_says_nothing_of_it():
    with TestClient(create_app(deployments(), settings())) as client:
        body = client.post("/v1/classifications", json={"model": "goose", "input": "hello"}).json()
    assert set(body["results"][0]["moderation"]) == {"scores", "flags", "windows", "span"}
    assert read(Classification, body).results[0]["moderation"].review is None
