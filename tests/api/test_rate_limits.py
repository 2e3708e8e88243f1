"""A bucket per key and scope, told as OpenAI tells it."""

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from serving_fakes import deployments, settings

from modwright.api.app import create_app
from modwright.api.rate_limits import _MOST_BUCKETS, RateLimits, duration
from modwright.errors import RateLimitedError


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def test_a_bucket_empties_and_fills_evenly():
    clock = Clock()
    limits = RateLimits(60, clock)
    taken = [limits.take("key", "read") for _ in range(60)]
    assert [item.remaining for item in taken] == list(range(59, -1, -1))
    assert taken[-1].reset_s == pytest.approx(60)
    refused = limits.take("key", "read")
    assert refused.wait_s == pytest.approx(1.0)
    with pytest.raises(RateLimitedError, match="60 requests") as caught:
        refused.check()
    assert caught.value.retry_after_s == 1
    clock.now_s = 2.5
    assert [limits.take("key", "read").wait_s > 0 for _ in range(3)] == [False, False, True]
    clock.now_s = 1000.0
    assert limits.take("key", "read").remaining == 59


def test_keys_and_scopes_have_buckets_of_their_own():
    limits = RateLimits(1, Clock())
    for who, kind in (("a", "read"), ("a", "train"), ("b", "read")):
        assert limits.take(who, kind).wait_s == 0
        assert limits.take(who, kind).wait_s > 0


def test_no_limit_tells_nothing_and_buckets_do_not_grow_for_ever():
    assert RateLimits(0).take("key", "read") is None
    limits = RateLimits(5, Clock())
    for n in range(_MOST_BUCKETS + 10):
        limits.take(str(n), "read")
    assert len(limits._buckets) == _MOST_BUCKETS


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 50))
def test_never_more_than_a_minutes_requests_and_what_filled_since(pauses, per_minute):
    clock = Clock()
    limits = RateLimits(per_minute, clock)
    allowed = 0
    for pause_s in pauses:
        clock.now_s += pause_s
        allowance = limits.take("key", "read")
        allowed += allowance.wait_s == 0
        assert 0 <= allowance.remaining < per_minute or allowance.wait_s > 0
        assert allowance.reset_s >= 0
    assert allowed <= per_minute + clock.now_s * per_minute / 60 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0ms"), (0.0171, "18ms"), (1, "1s"), (59.2, "1m0s"), (360, "6m0s"), (3630, "1h0m30s"), (7.5, "8s")],
)
def test_durations_are_written_as_openai_writes_them(seconds, told):
    assert duration(seconds) == told


@pytest.mark.parametrize("prefix", ["", "/openai", "/mistral"])
def test_headers_come_with_answers_errors_and_refusals(prefix):
    limited = settings(requests_per_minute=3)
    with TestClient(create_app(deployments(), limited)) as asked:
        answers = [asked.post(f"{prefix}/v1/moderations", json=body) for body in [{"input": "a"}, {}] * 2]
        other = asked.get(f"{prefix}/v1/models")
        health = asked.get("/health")
    assert [answer.status_code for answer in answers] == [200, 400, 200, 429]
    for answer, remaining in zip(answers, "2100", strict=True):
        assert answer.headers["x-ratelimit-limit-requests"] == "3"
        assert answer.headers["x-ratelimit-remaining-requests"] == remaining
        assert answer.headers["x-ratelimit-reset-requests"] in ("20s", "40s", "60s", "1m0s")
    assert answers[3].json()["code"] == "rate_limited"
    assert answers[3].json()["type"] == "rate_limit_error"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    assert (other.status_code, other.headers["x-ratelimit-remaining-requests"]) == (200, "2")
    assert "x-ratelimit-limit-requests" not in health.headers
