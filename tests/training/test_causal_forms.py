"""Processes that share a model's layers run them equally often, whichever questions their own rows ask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modwright.testing import TINY_SCHEMA, make_tiny_causal, tiny_causal_recipe, tiny_rows
from modwright.training import causal
from modwright.training.causal import CausalFamily


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny_causal(tmp_path_factory.mktemp("forms") / "tiny")


@pytest.mark.parametrize("loss", ["label", "sequence"])
def test_every_part_of_a_sharded_step_runs_every_form(base, monkeypatch, loss):
    recipe = tiny_causal_recipe(base, f"answer.loss={loss}", "adapter.method=full")
    family = CausalFamily(recipe, TINY_SCHEMA, base)
    task = family.task(tiny_rows(8), 0)
    forms = np.array([item.form for item in task._items])
    assert set(forms) == {0, 1}
    parts = [np.flatnonzero(forms == 0)[:3], np.flatnonzero(forms == 1)[:2], np.array([0, len(forms) - 1])]
    alone = [_run(task, part) for part in parts]
    monkeypatch.setattr(causal, "_is_sharded", lambda network: True)
    together = [_run(task, part) for part in parts]
    assert len({layers for layers, _, _ in together}) == 1
    for (_, loss_alone, gradient_alone), (_, loss_together, gradient_together) in zip(
        alone, together, strict=True
    ):
        assert loss_together == pytest.approx(loss_alone, rel=1e-6)
        torch.testing.assert_close(gradient_together, gradient_alone)


@pytest.mark.parametrize("sharded", [False, True])
def test_a_head_that_no_item_of_a_step_needs_goes_on_by_its_momentum(base, monkeypatch, sharded):
    recipe = tiny_causal_recipe(base, "answer.read=head", "adapter.method=full")
    family = CausalFamily(recipe, TINY_SCHEMA, base)
    task = family.task(tiny_rows(8), 0)
    monkeypatch.setattr(causal, "_is_sharded", lambda network: sharded)
    task.loss(np.array([0])).backward()  # an item of the first form alone
    heads = task.model.heads
    assert heads[0].bias.grad.abs().max() > 0
    assert all(torch.equal(one.grad, torch.zeros_like(one)) for one in heads[1].parameters())


def _run(task, part):
    """Return how often the first layer ran, the loss, and the gradient of one of its weights."""
    layer = task.model.lm.model.layers[0]
    runs = []
    hook = layer.register_forward_hook(lambda *_: runs.append(1))
    task.model.zero_grad()
    loss = task.loss(part)
    loss.backward()
    hook.remove()
    return len(runs), float(loss.detach()), layer.self_attn.q_proj.weight.grad.clone()
