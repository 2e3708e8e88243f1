import asyncio
import threading
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from serving_fakes import settings

from modwright.errors import OverloadedError, ScoringError, UnavailableError
from modwright.schema import text_input
from modwright.serving.batcher import Batcher, cost


class Recorder:
    """A judge that answers each input with its own text, and notes its batches."""

    def __init__(self, errors=None, delay_s=0.0):
        self.errors = errors or {}
        self.delay_s = delay_s
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, inputs, point):
        texts = [item[-1].content for item in inputs]
        self.batches.append(texts)
        self.entered.set()
        assert self.gate.wait(20)
        if self.delay_s:
            time.sleep(self.delay_s)
        for text in texts:
            if text in self.errors:
                raise self.errors[text]
        return [(text, point) for text in texts]


def run(work, judge, **changes):
    """Run an async function on a started batcher; returns its result."""
    batcher = Batcher(judge, settings(**changes), "goose")
    batcher.start()
    try:
        return asyncio.run(work(batcher))
    finally:
        judge.gate.set()
        batcher.stop()


def inputs(*texts):
    return [text_input(text) for text in texts]


requests = st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=6), min_size=1, max_size=12)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests=requests, pauses=st.lists(st.integers(0, 2), max_size=12), max_batch_chars=st.integers(100, 400)
)
def test_each_request_gets_exactly_its_own_answers_in_order(requests, pauses, max_batch_chars):
    judge = Recorder()

    async def ask(batcher, n, texts):
        for _ in range(pauses[n] if n < len(pauses) else 0):
            await asyncio.sleep(0)
        point = "default" if n % 2 else "strict"
        assert await batcher.submit(inputs(*texts), point) == [(text, point) for text in texts]

    async def all_of_them(batcher):
        await asyncio.gather(*(ask(batcher, n, texts) for n, texts in enumerate(requests)))

    run(all_of_them, judge, max_batch_chars=max_batch_chars)
    for batch in judge.batches:
        assert len(batch) == 1 or sum(cost(text_input(text)) for text in batch) <= max_batch_chars
        assert sorted(map(len, batch)) == list(map(len, batch))


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests=requests, poisons=st.sets(st.text(max_size=3), max_size=3), cancelled=st.sets(st.integers(0, 11))
)
def test_failures_and_cancellations_touch_nobody_else(requests, poisons, cancelled):
    judge = Recorder(errors={text: ValueError(text) for text in poisons})

    async def all_of_them(batcher):
        tasks = [asyncio.create_task(batcher.submit(inputs(*texts))) for texts in requests]
        await asyncio.sleep(0)
        for n in cancelled & set(range(len(tasks))):
            tasks[n].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = run(all_of_them, judge)
    for n, (texts, outcome) in enumerate(zip(requests, outcomes, strict=True)):
        if n in cancelled:
            assert isinstance(outcome, asyncio.CancelledError)
        elif poisons & set(texts):
            assert isinstance(outcome, ScoringError)
        else:
            assert outcome == [(text, "default") for text in texts]


def test_requests_that_arrive_together_share_batches():
    judge = Recorder()

    async def many(batcher):
        judge.gate.clear()
        first = asyncio.create_task(batcher.submit(inputs("first")))
        await asyncio.to_thread(judge.entered.wait, 5)
        rest = [asyncio.create_task(batcher.submit(inputs(f"text {n}"))) for n in range(50)]
        await asyncio.sleep(0.01)
        judge.gate.set()
        await asyncio.gather(first, *rest)

    run(many, judge)
    assert [len(batch) for batch in judge.batches] == [1, 50]


@pytest.mark.parametrize(
    "error",
    [ValueError("a secret text"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), StopIteration(),
     MemoryError(), RecursionError(), asyncio.CancelledError(), type("Odd", (BaseException,), {})()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_only_the_poisonous_input_fails_and_the_worker_lives_on(error, caplog):
    judge = Recorder(errors={"poison": error})

    async def mixed(batcher):
        judge.gate.clear()
        blocker = asyncio.create_task(batcher.submit(inputs("first")))
        await asyncio.to_thread(judge.entered.wait, 5)
        asked = [["a", "b"], ["c", "poison", "d"], ["e"]]
        tasks = [asyncio.create_task(batcher.submit(inputs(*texts))) for texts in asked]
        await asyncio.sleep(0.01)
        judge.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await blocker
        return [*outcomes, await batcher.submit(inputs("later"))]

    good, bad, small, later = run(mixed, judge)
    assert [text for text, _ in good] == ["a", "b"]
    assert [text for text, _ in small] == ["e"]
    assert [text for text, _ in later] == ["later"]
    assert isinstance(bad, ScoringError)
    assert str(bad) == f"model 'goose' failed on input 1 of 3: it raised {type(error).__name__}"
    assert type(error).__name__ in caplog.text
    assert "secret" not in caplog.text
    assert "poison" not in caplog.text


def test_answers_that_do_not_match_the_inputs_are_an_error():
    with pytest.raises(ScoringError, match="0 answers to 1 inputs"):
        run(
            lambda batcher: batcher.submit(inputs("a")),
            type("Empty", (Recorder,), {"__call__": lambda *_: []})(),
        )


def test_small_requests_pass_a_large_one():
    judge = Recorder()
    done = []

    async def ask(batcher, name, texts):
        await batcher.submit(inputs(*texts))
        done.append(name)

    async def both(batcher):
        judge.gate.clear()
        large = asyncio.create_task(ask(batcher, "large", ["a lengthy text " * 5] * 200))
        await asyncio.to_thread(judge.entered.wait, 5)
        small = [asyncio.create_task(ask(batcher, "small", ["hi"])) for _ in range(5)]
        await asyncio.sleep(0.01)
        judge.gate.set()
        await asyncio.gather(large, *small)

    run(both, judge, max_batch_chars=500)
    assert done == ["small"] * 5 + ["large"]


def test_the_door_closes_at_the_limit_and_opens_again():
    judge = Recorder()

    async def fill(batcher):
        judge.gate.clear()
        first = asyncio.create_task(batcher.submit(inputs("first")))
        await asyncio.to_thread(judge.entered.wait, 5)
        waits = asyncio.create_task(batcher.submit(inputs("a" * 900)))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as caught:
            await batcher.submit(inputs("b" * 200))
        waits.cancel()
        await asyncio.sleep(0.01)
        fits = asyncio.create_task(batcher.submit(inputs("b" * 200)))
        judge.gate.set()
        await asyncio.gather(first, fits)
        return caught.value

    error = run(fill, judge, max_queue_chars=1000)
    assert error.retry_after_s >= 1
    assert ["a" * 900] not in judge.batches


def test_an_answer_that_does_not_come_in_time_is_unavailable_and_the_rest_comes_later():
    judge = Recorder()

    async def hang(batcher):
        judge.gate.clear()
        with pytest.raises(UnavailableError, match=r"no answer within 0\.2 s"):
            await batcher.submit(inputs("slow"))
        judge.gate.set()
        return await batcher.submit(inputs("next"))

    assert run(hang, judge, request_timeout_s=0.2) == [("next", "default")]


def test_a_batcher_that_does_not_run_answers_at_once():
    batcher = Batcher(Recorder(), settings(), "goose")
    with pytest.raises(UnavailableError, match="is not running"):
        asyncio.run(batcher.submit(inputs("a")))
    batcher.start()
    batcher.stop()
    with pytest.raises(UnavailableError, match="is not running"):
        asyncio.run(batcher.submit(inputs("a")))
    batcher.start()
    assert asyncio.run(batcher.submit(inputs("a"))) == [("a", "default")]
    batcher.stop()


def test_stopping_refuses_what_waits():
    judge = Recorder()

    async def stop(batcher):
        judge.gate.clear()
        running = asyncio.create_task(batcher.submit(inputs("running")))
        await asyncio.to_thread(judge.entered.wait, 5)
        waiting = asyncio.create_task(batcher.submit(inputs("waiting")))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(asyncio.to_thread(batcher.stop))
        with pytest.raises(UnavailableError, match="shutting down"):
            await waiting
        judge.gate.set()
        await stopping
        return await running

    assert run(stop, judge) == [("running", "default")]
