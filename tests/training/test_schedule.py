"""Learning rates as a function of the step; AdamW's state as named tensors; arithmetic by what the processor has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modwright.training.optimizer import (
    clip,
    make_optimizer,
    rate_factor,
    restore_state,
    set_rates,
    state_like,
    state_tensors,
)
from modwright.training.precision import autocast, dtype_of
from modwright.training.task import ParameterGroup


@given(st.integers(1, 3000), st.floats(0, 0.99), st.sampled_from(["linear", "cosine", "constant"]), st.data())
def test_a_factor_rises_to_one_then_never_rises_again_and_is_never_zero(steps, warmup, schedule, data):
    rising = round(warmup * steps)
    step = data.draw(st.integers(1, steps))
    here = rate_factor(step, steps=steps, warmup=warmup, schedule=schedule)
    assert 0 < here <= 1
    if step < steps:
        following = rate_factor(step + 1, steps=steps, warmup=warmup, schedule=schedule)
        assert following >= here if step < rising else following <= here
    if step == rising:
        assert here == 1.0


def test_schedules_fall_as_they_are_called():
    half = {
        name: rate_factor(60, steps=100, warmup=0.2, schedule=name)
        for name in ("linear", "cosine", "constant")
    }
    assert half["constant"] == 1.0
    assert half["linear"] == pytest.approx(0.5, abs=0.01)
    assert half["cosine"] == pytest.approx(0.5, abs=0.01)
    last = {name: rate_factor(100, steps=100, warmup=0.2, schedule=name) for name in half}
    assert last["constant"] == 1.0
    assert last["cosine"] < last["linear"] < 0.02
    assert rate_factor(1, steps=100, warmup=0.0, schedule="linear") > 0.99


def test_groups_keep_their_own_rates():
    one, two = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))
    optimizer = make_optimizer(
        [ParameterGroup([one], 0.1, 0.0), ParameterGroup([], 9.0, 0.0), ParameterGroup([two], 0.01, 0.5)]
    )
    assert set_rates(optimizer, 0.5) == pytest.approx(0.05)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.005])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.5]
    assert all(group["fused"] for group in optimizer.param_groups)


def test_clipping_scales_the_joint_norm():
    weights = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert clip(weights, 1.0) == pytest.approx(5.0)
    assert torch.cat([weight.grad for weight in weights]).norm() == pytest.approx(1.0, abs=1e-4)
    assert clip(weights, 10.0) == pytest.approx(1.0, abs=1e-4)


def stepped(optimizer, weight, times):
    for at in range(times):
        optimizer.zero_grad()
        ((weight - at) ** 2).sum().backward()
        optimizer.step()


def test_a_restored_optimizer_steps_on_bit_by_bit():
    straight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
    unstepped = torch.nn.Parameter(torch.ones(2))
    optimizer = make_optimizer([ParameterGroup([straight, unstepped], 0.1, 0.01)])
    stepped(optimizer, straight, 3)
    names = {"w": straight, "never": unstepped}
    kept = {name: tensor.clone() for name, tensor in state_tensors(optimizer, names).items()}
    assert set(kept) == {"step/w", "exp_avg/w", "exp_avg_sq/w"}
    assert set(kept) < set(state_like(names))
    copy = torch.nn.Parameter(straight.detach().clone())
    other = make_optimizer([ParameterGroup([copy], 0.1, 0.01)])
    restore_state(other, {"w": copy}, kept)
    stepped(optimizer, straight, 4)
    stepped(other, copy, 4)
    assert np.array_equal(copy.detach().numpy(), straight.detach().numpy())


def test_arithmetic_follows_the_recipe_and_the_processor(monkeypatch):
    cpu = torch.device("cpu")
    assert dtype_of("float32", cpu) is torch.float32
    assert dtype_of("bfloat16", cpu) is torch.bfloat16
    for has, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert dtype_of("auto", cpu) is expected
    matrix = torch.ones(2, 2)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(dtype, cpu):
            assert (matrix @ matrix).dtype is dtype
