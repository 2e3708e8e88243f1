"""Scores over a real server by both clients: the same as its model gives, however they are asked for."""

import math

import pytest
from client_rig import asking
from serving_fakes import deployments, served

from modwright import Client
from modwright.client import TargetResult
from modwright.errors import ModelNotFoundError, RateLimitedError, RequestError
from modwright.schema import Message, Role

TEXTS = [f"{'silly ' * (n % 3)}goose {n}" for n in range(150)]


@pytest.fixture(scope="module")
def url():
    with served(deployments(), max_inputs=70) as where:
        yield where


@pytest.fixture(params=["sync", "async"])
def client(request, url):
    with asking(request.param, url, "") as made:
        yield made


def test_more_inputs_than_a_request_may_hold_are_scored_as_each_alone(client):
    found = client.classify(TEXTS, model="goose")
    assert (found.model, len(found.results)) == ("goose", 150)
    for place in (0, 69, 70, 149):
        assert found.results[place] == client.classify(TEXTS[place], model="goose").results[0]
    result = next(iter(found.results[0].values()))
    assert isinstance(result, TargetResult)
    assert all(isinstance(score, float) and math.isfinite(score) for score in result.scores.values())


def test_conversations_and_texts_stand_side_by_side(client):
    turns = [Message(Role.USER, "hello"), {"role": "assistant", "content": "you silly goose"}]
    mixed = client.moderate([turns, "you silly goose"], model="goose")
    assert len(mixed.results) == 2
    assert mixed.results[1] == client.moderate("you silly goose", model="goose").results[0]
    assert mixed.results[0] == client.moderate(turns, model="goose").results[0]
    assert mixed.results[1].flagged
    assert all(isinstance(flag, bool) for flag in mixed.results[1].categories.values())
    assert (
        client.classify([turns], model="goose").results[0] == client.classify(turns, model="goose").results[0]
    )


def test_a_refused_input_is_named_by_its_place_among_all(client):
    with pytest.raises(RequestError, match="nothing to judge") as caught:
        client.classify([*TEXTS[:130], "", "x"], model="goose")
    assert caught.value.where == "inputs.130"
    with pytest.raises(ModelNotFoundError):
        client.classify("x", model="geese")


def test_a_key_that_asks_too_often_waits_and_is_told_when_it_would_be_too_long():
    with served(deployments(), requests_per_minute=60) as url, Client(url, "") as client:
        for _ in range(62):
            client.classify("goose", model="goose")
    with served(deployments(), requests_per_minute=1) as url, Client(url, "") as client:
        client.classify("goose", model="goose")
        with pytest.raises(RateLimitedError) as caught:
            client.classify("goose", model="goose")
    assert caught.value.retry_after_s > 30
