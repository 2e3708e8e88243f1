import asyncio
import contextlib
import threading
import time

import pytest
from serving_fakes import FakeClassifier, engine, settings

from modwright.errors import ArtifactError, UnavailableError
from modwright.schema import text_input
from modwright.serving.deployments import Deployment
from modwright.serving.loaded import LoadedModels


class Slow(FakeClassifier):
    """Holds a text "hold" until it is released."""

    def __init__(self):
        super().__init__()
        self.release = threading.Event()

    def before(self, inputs):
        if any(item[-1].content == "hold" for item in inputs):
            assert self.release.wait(10)


class Shop:
    """Makes deployments, and counts what is in memory."""

    def __init__(self, *, load_s=0.0):
        self.load_s = load_s
        self.loads = []
        self.made = {}
        self.in_memory = 0
        self.most = 0
        self.failing = set()
        self.lock = threading.Lock()

    def loader(self, name):
        def load():
            with self.lock:
                self.loads.append(name)
                self.in_memory += 1
                self.most = max(self.most, self.in_memory)
            time.sleep(self.load_s)
            if name in self.failing:
                with self.lock:
                    self.in_memory -= 1
                raise ArtifactError(f"{name} is broken")
            return self.made.setdefault(name, []).append(self._deployment(name)) or self.made[name][-1]

        return load

    def _deployment(self, name):
        deployment = Deployment(
            name, engine(Slow(), id=name.encode().hex().ljust(64, "0")), settings(request_timeout_s=5)
        )
        stop = deployment.stop

        def stopped():
            stop()
            with self.lock:
                self.in_memory -= 1

        deployment.stop = stopped
        return deployment


def run(work, *, limit=2, timeout_s=5.0, **shop):
    """Run `work(models, shop, ask)` on an event loop of its own."""

    async def whole():
        models, made = LoadedModels(limit, timeout_s), Shop(**shop)

        async def ask(name, text="a goose"):
            async with models.lease(name, made.loader(name)) as deployment:
                return deployment.name, await deployment.judge([text_input(text)])

        try:
            return await work(models, made, ask)
        finally:
            await models.close()

    return asyncio.run(whole())


async def until(condition, timeout_s=5):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.005)


def test_many_requests_load_a_model_once_and_the_loop_goes_on_meanwhile():
    async def work(models, shop, ask):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        names = await asyncio.gather(*(ask("a") for _ in range(20)))
        ticking.cancel()
        assert [name for name, _ in names] == ["a"] * 20
        assert shop.loads == ["a"]
        assert ticks >= 5
        assert len(models) == 1

    run(work, load_s=0.2)


def test_the_least_recently_used_model_gives_way():
    async def work(models, shop, ask):
        for name in ("a", "b", "a", "c"):
            await ask(name)
        assert "a" in models
        assert "b" not in models
        await ask("a")
        assert shop.loads == ["a", "b", "c"]
        await ask("b")
        assert shop.loads == ["a", "b", "c", "b"]
        assert "c" not in models
        assert shop.most <= 2

    run(work)


def test_a_model_in_use_is_not_stopped_under_its_request_and_unused_ones_go_first():
    async def work(models, shop, ask):
        held = asyncio.create_task(ask("a", "hold"))
        await until(lambda: "a" in shop.made)
        await ask("b")
        await ask("c")  # b was used later than a, but a is in use
        assert shop.loads == ["a", "b", "c"]
        assert "a" in models
        assert not held.done()
        shop.made["a"][0].engine.classifier._inner.release.set()
        assert (await held)[0] == "a"

    run(work)


def test_where_all_are_in_use_a_newcomer_waits_for_one_and_later_requests_for_that_one_load_it_again():
    async def work(models, shop, ask):
        held = asyncio.create_task(ask("a", "hold"))
        await until(lambda: "a" in shop.made)
        newcomer = asyncio.create_task(ask("b"))
        await asyncio.sleep(0.05)
        assert shop.loads == ["a"]
        later = asyncio.create_task(ask("a"))
        shop.made["a"][0].engine.classifier._inner.release.set()
        assert (await held)[0] == "a"
        assert (await newcomer)[0] == "b"
        assert (await later)[0] == "a"
        assert shop.loads == ["a", "b", "a"]
        assert shop.most == 1

    run(work, limit=1)


def test_under_load_by_more_models_than_there_is_room_for_every_request_is_answered():
    async def work(models, shop, ask):
        names = [f"m{n % 7}" for n in range(280)]

        async def user(n):
            await asyncio.sleep(n / 2000)
            return await ask(names[n])

        answers = await asyncio.gather(*(user(n) for n in range(len(names))))
        assert [name for name, _ in answers] == names
        assert shop.most <= 3
        assert shop.in_memory <= 3

    run(work, limit=3, load_s=0.002)


def test_a_failed_load_is_everybodys_error_and_the_next_request_tries_again():
    async def work(models, shop, ask):
        shop.failing.add("a")
        outcomes = await asyncio.gather(*(ask("a") for _ in range(5)), return_exceptions=True)
        assert {type(item) for item in outcomes} == {ArtifactError}
        assert shop.loads == ["a"]
        shop.failing.clear()
        assert (await ask("a"))[0] == "a"
        assert (await ask("b"))[0] == "b"  # the failure kept no room

    run(work, limit=1, load_s=0.02)


def test_who_hangs_up_or_waits_too_long_does_not_end_the_loading():
    async def work(models, shop, ask):
        gone = asyncio.create_task(ask("a"))
        await asyncio.sleep(0.01)
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        with pytest.raises(UnavailableError, match="being loaded"):
            await ask("a")
        await until(lambda: len(models) == 1)
        assert (await ask("a"))[0] == "a"
        assert shop.loads == ["a"]

    run(work, load_s=0.3, timeout_s=0.05)


def test_a_forgotten_model_ends_its_requests_and_frees_its_room():
    async def work(models, shop, ask):
        held = asyncio.create_task(ask("a", "hold"))
        await until(lambda: "a" in shop.made)
        models.forget("a")
        models.forget("never seen")
        assert "a" not in models
        shop.made["a"][0].engine.classifier._inner.release.set()
        assert (await held)[0] == "a"
        await until(lambda: shop.in_memory == 0)

    run(work, limit=1)


def test_a_model_forgotten_while_it_loads_is_stopped_when_it_is_there():
    async def work(models, shop, ask):
        waiting = asyncio.create_task(ask("a"))
        await until(lambda: shop.loads)
        models.forget("a")
        assert (await waiting)[0] == "a"  # it had been asked before
        await until(lambda: shop.in_memory == 0)
        assert (await ask("a"))[0] == "a"
        assert shop.loads == ["a", "a"]

    run(work, limit=1, load_s=0.1)


def test_a_model_that_nobody_waits_for_any_more_is_stopped_when_it_was_forgotten():
    async def work(models, shop, ask):
        gone = asyncio.create_task(ask("a"))
        await until(lambda: shop.loads)
        models.forget("a")
        gone.cancel()
        await until(lambda: "a" in shop.made)
        await until(lambda: shop.in_memory == 0)
        assert (await ask("b"))[0] == "b"

    run(work, limit=1, load_s=0.1)


def test_closing_refuses_what_waits_and_stops_all():
    async def work(models, shop, ask):
        await ask("a")
        waiting = asyncio.create_task(ask("slow"))
        await until(lambda: "slow" in shop.loads)
        await models.close()
        with pytest.raises(UnavailableError, match="shutting down"):
            await waiting
        with pytest.raises(UnavailableError, match="shutting down"):
            await ask("a")
        assert not shop.made["a"][0]._batcher.running

    run(work, load_s=0.1)


def test_the_latest_is_the_loaded_one_asked_last():
    async def work(models, shop, ask):
        async with models.latest() as deployment:
            assert deployment is None
        for name in ("a", "b", "a"):
            await ask(name)
        async with models.latest() as deployment:
            assert deployment.name == "a"

    run(work)
