"""The loop: exact accumulation, looks and the best weights, memory, and runs that go on bit by bit."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tasks import OPTIONS, ROWS, TinyTask, fresh, looking, small_recipe, store_at, weights_of

from modwright.errors import TrainingError
from modwright.testing import TINY_SCHEMA
from modwright.training import loop
from modwright.training.events import Looked, Resumed, Saved, Step, Warned, follow
from modwright.training.looking import Look
from modwright.training.loop import plan_of, run


def trained(task, *overrides, store=None, look=None, **changes):
    events = []
    plan = dataclasses.replace(plan_of(small_recipe(*overrides), task.lengths), **changes)
    outcome = follow(run(task, plan, store=store, look=look), events.append)
    return outcome, events


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_a_plan_counts_steps_and_times_of_looks():
    plan = plan_of(small_recipe("validation.every=3"), np.full(60, 5))
    assert (plan.steps_per_epoch, plan.steps, plan.ends) == (8, 24, 24)
    assert [step for step in range(25) if plan.looks_at(step)] == list(range(0, 25, 3))
    by_epoch = plan_of(small_recipe("training.training_steps=20"), np.full(60, 5))
    assert [step for step in range(21) if by_epoch.looks_at(step)] == [0, 8, 16, 20]
    shorter = by_epoch.ending(11)
    assert (shorter.steps, shorter.ends, shorter.keep) == (20, 11, "last")


def test_it_learns_and_tells_of_every_step():
    task = fresh()
    outcome, events = trained(task, "training.epochs=10", look=looking(task))
    steps, looks = of(Step, events), of(Looked, events)
    assert [step.number for step in steps] == list(range(1, 81))
    assert np.mean([step.train_loss for step in steps[-8:]]) < 0.6 * steps[0].train_loss
    assert {step.total for step in steps} == {80}
    assert steps[7].epoch == 1.0
    assert sum(step.tokens for step in steps[:8]) == task.lengths.sum()
    assert [look.step for look in looks] == list(range(0, 81, 8))
    assert [step.valid_loss is not None for step in steps] == [step.number % 8 == 0 for step in steps]
    assert looks[-1].loss < looks[0].loss
    assert outcome.best.loss == min(look.loss for look in looks)


def test_splitting_a_step_changes_nothing_but_rounding():
    one, many = fresh(dropout=0.0), fresh(dropout=0.0)
    _, whole = trained(one, "batches.max_tokens=1000")
    _, split = trained(many, "batches.max_tokens=16")
    assert len(one.sizes) == 24
    assert len(many.sizes) > 48
    losses = [[step.train_loss for step in of(Step, events)] for events in (whole, split)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    for left, right in zip(one.model.parameters(), many.model.parameters(), strict=True):
        assert torch.allclose(left, right, atol=2e-4)


def test_a_steps_loss_is_the_mean_over_known_labels():
    task = fresh(dropout=0.0)
    task.truth["moderation"][:, :2] = float("nan")
    items = plan_of(small_recipe(), task.lengths).epoch(0)[0]
    with torch.no_grad():
        logits = task.model(task.features[items])
        cells = torch.nn.functional.binary_cross_entropy_with_logits(
            logits["moderation"][:, 2], task.truth["moderation"][items, 2], reduction="sum"
        )
        rows = -(task.truth["tone"][items] * logits["tone"].log_softmax(dim=1)).sum()
    expected = float(cells / 3 + rows) / (len(items) / 3 + len(items))  # one of three cells is known
    _, events = trained(task, ends=1)
    assert of(Step, events)[0].train_loss == pytest.approx(expected, abs=1e-6)


def scripted(values):
    """A look that finds these values, one after the other."""
    left = iter(values)
    return lambda: (lambda value: Look(1.0 - value, {"m": value}, value))(next(left))


@pytest.mark.parametrize("with_store", [False, True])
def test_the_best_weights_come_back(tmp_path, with_store):
    store = store_at(tmp_path) if with_store else None
    task = fresh()
    outcome, events = trained(task, store=store, look=scripted([0.1, 0.9, 0.3, 0.2]))
    assert (outcome.kept, outcome.best.step, outcome.steps) == (8, 8, 24)
    assert [look.best for look in of(Looked, events)] == [True, True, False, False]
    short = fresh()
    trained(short, ends=8)
    assert weights_of(task) == weights_of(short)
    last = fresh()
    assert trained(last, "validation.keep=last", look=scripted([0.1, 0.9, 0.3, 0.2]))[0].kept == 24
    assert weights_of(last) != weights_of(task)


def test_an_untrained_model_may_be_the_best():
    task = fresh()
    outcome, _ = trained(task, look=scripted([0.9, 0.1, 0.1, 0.1]))
    assert outcome.kept == 0
    assert weights_of(task) == weights_of(fresh())


def test_patience_ends_a_run():
    outcome, events = trained(fresh(), "validation.patience=1", look=scripted([0.1, 0.5, 0.4, 0.9]))
    assert (outcome.steps, outcome.kept) == (16, 8)
    assert of(Step, events)[-1].number == 16


def test_nobody_elses_random_numbers_matter_or_are_used_up():
    quiet, noisy = fresh(), fresh()
    trained(quiet)
    torch.manual_seed(5)
    np.random.seed(5)
    plan = plan_of(small_recipe(), noisy.lengths)
    for _ in run(noisy, plan):
        torch.rand(3), np.random.rand(2)
    found = torch.rand(1), np.random.rand()
    assert weights_of(quiet) == weights_of(noisy)
    torch.manual_seed(5)
    np.random.seed(5)
    for _ in range(plan.steps):
        torch.rand(3), np.random.rand(2)
    assert (torch.rand(1), np.random.rand()) == found


class Hungry(TinyTask):
    """Has memory for so many padded tokens; draws a random number before it fails, as a forward pass would."""

    room = 20
    error = RuntimeError(
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to"
    )

    def loss(self, items):
        loss = super().loss(items)
        if len(items) * int(self.lengths[items].max()) > self.room:
            raise self.error
        return loss


@pytest.mark.parametrize(
    "error", [Hungry.error, MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")]
)
def test_out_of_memory_halves_what_is_computed_at_once_and_keeps_the_step(tmp_path, monkeypatch, error):
    monkeypatch.setattr(Hungry, "error", error)
    task = Hungry(TINY_SCHEMA, ROWS, 0, dropout=0.0)
    outcome, events = trained(task, store=store_at(tmp_path))
    warned = of(Warned, events)
    assert 1 <= len(warned) <= 3
    assert "out of memory at step 1" in warned[0].message
    assert "still 8 rows" in warned[0].message
    assert outcome.tokens_at_once <= 20
    easy = fresh(dropout=0.0)
    trained(easy)
    for left, right in zip(task.model.parameters(), easy.model.parameters(), strict=True):
        assert torch.allclose(left, right, atol=2e-4)
    again, events = trained(Hungry(TINY_SCHEMA, ROWS, 0, dropout=0.0), store=store_at(tmp_path))
    assert again.tokens_at_once == outcome.tokens_at_once
    assert not of(Warned, events)


def test_a_step_tried_again_draws_the_same_numbers(monkeypatch):
    monkeypatch.setattr(Hungry, "room", 20)
    tried, straight = Hungry(TINY_SCHEMA, ROWS, 0), fresh()
    outcome, _ = trained(tried)
    plan = plan_of(small_recipe(), straight.lengths)
    small = plan.batches.model_copy(update={"max_tokens": outcome.tokens_at_once})
    follow(run(straight, dataclasses.replace(plan, batches=small)), lambda event: None)
    assert weights_of(tried) == weights_of(straight)


def test_no_room_for_one_item_is_an_error_with_a_remedy(monkeypatch):
    monkeypatch.setattr(Hungry, "room", 1)
    with pytest.raises(TrainingError, match="single item") as caught:
        trained(Hungry(TINY_SCHEMA, ROWS, 0))
    assert "window.max_tokens" in str(caught.value)


def test_no_room_for_the_longest_item_is_an_error_beside_short_ones_too(monkeypatch):
    """Parts of short items are halved until each is alone, however long the longest item is."""
    task = Hungry(TINY_SCHEMA, ROWS, 0)
    task.lengths[:] = np.where(np.arange(60) % 8 == 0, 400, 2)
    told = []
    monkeypatch.setattr(Hungry, "room", 399)
    events = run(task, plan_of(small_recipe("batches.max_tokens=200"), task.lengths))
    with pytest.raises(TrainingError, match="single item of 400 tokens"):
        told += itertools.islice(events, 50)
    assert len(of(Warned, told)) <= 8


def test_no_room_elsewhere_is_told_with_a_remedy(monkeypatch):
    def full(*args, **more):
        raise Hungry.error

    with pytest.raises(TrainingError, match="while held-out rows were scored"):
        trained(fresh(), look=full)
    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    with pytest.raises(TrainingError, match="optimizer's step") as caught:
        trained(fresh())
    assert "low-rank" in caught.value.remedy


def test_other_runtime_errors_are_not_swallowed():
    task = fresh()
    task.features = task.features[:, :3]
    with pytest.raises(RuntimeError, match="shapes"):
        trained(task)


def test_a_loss_that_is_no_number_ends_the_run():
    task = fresh()
    task.features[5] = float("inf")
    with pytest.raises(TrainingError, match="the loss is nan at step") as caught:
        trained(task)
    assert "learning_rate" in caught.value.remedy


def test_a_task_that_trains_nothing_is_looked_at_once():
    task = fresh()
    task.groups = list
    outcome, events = trained(task, look=looking(task))
    assert (outcome.steps, outcome.kept, len(outcome.looks)) == (0, 0, 1)
    assert not of(Step, events)
    assert weights_of(task) == weights_of(fresh())


def interrupted(folder, after, *overrides):
    """Train until so many events were seen, and let go of the run."""
    task = fresh()
    plan = plan_of(small_recipe(*overrides), task.lengths)
    for number, _ in enumerate(run(task, plan, store=store_at(folder), look=looking(task))):
        if number >= after:
            return


@pytest.fixture(scope="module")
def undisturbed():
    task = fresh()
    outcome, events = trained(task, *OPTIONS, look=looking(task))
    return weights_of(task), outcome, [step.train_loss for step in of(Step, events)]


@given(stops=st.lists(st.integers(0, 30), min_size=1, max_size=3))
@settings(max_examples=6)
def test_resumed_after_any_event_it_ends_bit_equal(tmp_path_factory, undisturbed, stops):
    weights, expected, losses = undisturbed
    folder = tmp_path_factory.mktemp("run")
    for stop in stops:
        interrupted(folder, stop, *OPTIONS)
    task = fresh()
    outcome, events = trained(task, *OPTIONS, store=store_at(folder), look=looking(task))
    assert weights_of(task) == weights
    assert (outcome.looks, outcome.kept) == (expected.looks, expected.kept)
    steps = of(Step, events)
    assert [step.train_loss for step in steps] == losses[len(losses) - len(steps) :]
    resumed = of(Resumed, events)
    assert [event.step for event in resumed] in ([], [16 - len(steps)])


def test_a_finished_run_is_read_back_without_a_step(tmp_path, undisturbed):
    trained_once = fresh()
    trained(trained_once, *OPTIONS, store=store_at(tmp_path), look=looking(trained_once))
    task = fresh()
    outcome, events = trained(task, *OPTIONS, store=store_at(tmp_path), look=looking(task))
    assert weights_of(task) == undisturbed[0]
    assert outcome == undisturbed[1]
    assert not of(Step, events)


def test_a_damaged_checkpoint_costs_steps_and_not_the_run(tmp_path, undisturbed):
    interrupted(tmp_path, 18, *OPTIONS)
    newest = max(tmp_path.glob("step-*"))
    (newest / "state.safetensors").write_bytes(b"")
    task = fresh()
    _, events = trained(task, *OPTIONS, store=store_at(tmp_path), look=looking(task))
    assert "passed over" in of(Warned, events)[0].message
    assert of(Resumed, events)[0].step < int(newest.name[5:])
    assert weights_of(task) == undisturbed[0]


def test_another_number_of_threads_is_said(tmp_path, monkeypatch):
    interrupted(tmp_path, 12, *OPTIONS)
    monkeypatch.setattr(loop.torch, "get_num_threads", lambda: 97)
    task = fresh()
    _, events = trained(task, *OPTIONS, store=store_at(tmp_path), look=looking(task))
    assert "97" in of(Warned, events)[0].message


def test_checkpoints_hold_trainable_weights_only(tmp_path):
    task = fresh()
    _, events = trained(task, store=store_at(tmp_path), look=looking(task))
    from safetensors import safe_open

    assert of(Saved, events)[-1].step == 24
    with safe_open(tmp_path / "step-00000024" / "state.safetensors", framework="pt") as stored:
        names = set(stored.keys())
    assert "weights/trunk.weight" in names
    assert "exp_avg/heads.tone.bias" in names
    assert not any("frozen" in name for name in names)


#: Runs the task in a child that is killed some time after it wrote something new, until one comes to the end.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
from tiny_tasks import OPTIONS, fresh, looking, small_recipe, store_at, weights_of
from modwright.training.loop import plan_of, run
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # imports what it needs, once for all children
folder, chance, kills = Path({folder!r}), random.Random(7), 0
written = lambda: sorted(path.name for path in folder.glob("*"))
while not (folder / "weights").exists():
    before, child = written(), os.fork()
    if not child:
        task = fresh()
        plan = plan_of(small_recipe(*OPTIONS), task.lengths)
        for _ in run(task, plan, store=store_at(folder), look=looking(task)):
            time.sleep(0.003)
        (folder / "weights.partial").write_bytes(b"".join(weights_of(task).values()))
        (folder / "weights.partial").rename(folder / "weights")
        os._exit(0)
    if kills < 8:
        while written() == before:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.1)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    kills += os.WIFSIGNALED(status)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
print(kills)
"""


def test_killed_at_random_moments_it_ends_bit_equal(tmp_path, undisturbed):
    code = KILLER.format(here=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    assert (tmp_path / "weights").read_bytes() == b"".join(undisturbed[0].values())
