"""An encoder is trained: it learns what is there and not what is not, from the response of a pair, and can be repeated."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modwright.models.heads import probabilities
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input
from modwright.testing import TINY_SCHEMA, make_tiny_base, tiny_encoder_recipe, tiny_rows
from modwright.training import encoder
from modwright.training.encoder import EncoderFamily
from modwright.training.encoder_running import Runner
from modwright.training.events import Looked, follow
from modwright.training.looking import Judge
from modwright.training.loop import plan_of, run
from modwright.training.rows import TrainingRows
from modwright.training.tuned import fit_tuned

LEARNING = ("base.freeze_embeddings=false", "optimizer.learning_rate=3e-3", "training.epochs=8")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


def family(base, *overrides, schema=TINY_SCHEMA):
    recipe = tiny_encoder_recipe(base, *overrides)
    return EncoderFamily(recipe, schema, base, max_tokens=62, threads=1)


def trained(base, rows, *overrides, schema=TINY_SCHEMA):
    """Return a task trained on rows, without looks."""
    made = family(base, *LEARNING, *overrides, schema=schema)
    task = made.task(rows, 1)
    follow(run(task, plan_of(made.recipe, task.lengths)), lambda event: None)
    return task


def macro_auc(task, rows, schema=TINY_SCHEMA):
    return Judge(schema, rows, "macro_auc").look(task.scores(rows.inputs, exact=True)).value


def test_it_learns_what_is_there_and_not_what_is_shuffled(base):
    rows, unseen = tiny_rows(160), tiny_rows(100, seed=7)
    task = trained(base, rows)
    assert macro_auc(task, unseen) > 0.95
    order = np.random.default_rng(0).permutation(160)
    shuffled = TrainingRows(
        rows.inputs, {name: values[order] for name, values in rows.labels.items()}, rows.weights, rows.groups
    )
    assert 0.3 < macro_auc(trained(base, shuffled), unseen) < 0.7


def test_a_pair_is_judged_by_its_response(base):
    rude = Schema((Target.create("moderation", TargetKind.SINGLE_LABEL, ("safe", "rude")),))
    rng = np.random.default_rng(3)

    def pairs(number):
        held = rng.integers(0, 2, number)
        asked = rng.integers(0, 2, number)  # says nothing
        words = np.array([["green", "small"], ["silly", "goose"]])
        inputs = [
            pair_input(f"walk near {words[a][rng.integers(2)]}", f"the {words[h][rng.integers(2)]} house")
            for a, h in zip(asked, held, strict=True)
        ]
        labels = np.stack([1.0 - held, held], axis=1)
        return TrainingRows(
            inputs, {"moderation": labels}, np.ones(number), [str(row) for row in range(number)]
        )

    task = trained(base, pairs(160), schema=rude)
    assert macro_auc(task, pairs(60), schema=rude) > 0.95


def test_heads_begin_as_the_probe(base):
    rows = tiny_rows(60)
    task = family(base).task(rows, 1)
    losses = {name: float(probe_loss(task, rows, name)) for name in rows.labels}
    rate = {name: rows.labels[name].mean(axis=0) for name in rows.labels}
    for target in TINY_SCHEMA:
        p = np.broadcast_to(rate[target.name], rows.labels[target.name].shape)
        assert losses[target.name] < cross_entropy(target, p, rows.labels[target.name])
    # The head's own gradient is that of its regularisation alone: it stands where the probe ended.
    items = np.arange(60)
    (task.loss(items) / 60).backward()
    assert float(task.model.head.bias.grad.abs().max()) < 2e-3


def probe_loss(task, rows, name):
    return cross_entropy(
        TINY_SCHEMA.target(name), task.scores(rows.inputs, exact=True)[name], rows.labels[name]
    )


def cross_entropy(target, p, truth):
    if target.kind is TargetKind.SINGLE_LABEL:
        return -(truth * np.log(p)).sum(axis=1).mean()
    return -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()


def test_a_probe_of_some_texts_is_nearly_that_of_all(base, monkeypatch):
    rows, unseen = tiny_rows(300), tiny_rows(100, seed=7)
    every = family(base).task(rows, 1)
    monkeypatch.setattr(encoder, "_MOST_PROBED", 150)
    some = family(base).task(rows, 1)
    assert not torch.equal(every.model.head.weight, some.model.head.weight)
    assert abs(macro_auc(every, unseen) - macro_auc(some, unseen)) < 0.08
    assert some.weight(np.arange(300)) == pytest.approx(every.weight(np.arange(300)))


def test_random_heads_are_the_seeds(base):
    made = family(base, "heads.init=random")
    first, again, other = (made.task(tiny_rows(20), seed).model.head.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_frozen_layers_are_computed_once_and_change_nothing(base, monkeypatch):
    frozen = ("base.freeze_layers=1", "base.freeze_embeddings=true", "training.epochs=2")
    rows = tiny_rows(60)
    kept = trained(base, rows, *frozen)
    assert kept._kept is not None
    monkeypatch.setattr(Runner, "keep", lambda *_: None)
    computed = trained(base, rows, *frozen)
    assert computed._kept is None
    for name, values in computed.scores(rows.inputs, exact=False).items():
        np.testing.assert_allclose(kept.scores(rows.inputs, exact=False)[name], values, atol=2e-3)
    fresh = family(base).task(rows, 1)
    layer = {
        name for name, _ in kept.model.trunk.named_parameters() if "layer.0." in name or "embeddings." in name
    }
    for name, weight in kept.model.trunk.named_parameters():
        assert torch.equal(weight, fresh.model.trunk.get_parameter(name)) == (
            name in layer or "pooler" in name
        ), name


@pytest.mark.parametrize("override", ["training.precision=bfloat16", "training.gradient_checkpointing=true"])
def test_the_loss_and_its_gradient_are_the_same_another_way(base, override):
    rows, items = tiny_rows(24), np.arange(24)
    exact, other = family(base).task(rows, 1), family(base, override).task(rows, 1)
    if "bfloat16" in override:
        with torch.autocast("cpu", torch.bfloat16):
            found = other.loss(items)
        assert found.dtype is torch.float32
        tolerance = 0.1
    else:
        found, tolerance = other.loss(items), 1e-4
    wanted = exact.loss(items)
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=tolerance)
    found.backward()
    wanted.backward()
    for (name, one), two in zip(exact.model.named_parameters(), other.model.parameters(), strict=True):
        if one.grad is not None:
            similar = torch.nn.functional.cosine_similarity(one.grad.ravel(), two.grad.ravel(), dim=0)
            assert float(similar) > 0.9 or float(one.grad.norm()) < 1e-3, name


def test_a_run_can_be_repeated(base):
    first, second = (trained(base, tiny_rows(40), "training.epochs=1", "base.dropout=0.2") for _ in range(2))
    for one, two in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_whole_fit_is_judged_by_models_that_have_not_seen_the_rows(base):
    made = family(base, *LEARNING, "training.epochs=2")
    rows, events = tiny_rows(60), []
    fitted = follow(fit_tuned(made.recipe, TINY_SCHEMA, rows, made), events.append)
    assert any(isinstance(event, Looked) and event.step == 0 for event in events)
    assert fitted.unseen.scores["moderation"].shape == (60, 3)
    assert fitted.classifier.predict_proba(rows.inputs).values["tone"].shape == (60, 2)


def test_scores_of_windows_are_combined(base):
    task = family(base).task(tiny_rows(40), 1)
    text = " ".join(["the garden was near."] * 12 + ["silly goose"])
    scores = task.scores([text_input(text)], exact=True)
    rows = task.rule.encode([text_input(text)], task._tokenizer)
    logits = task._runner.all_logits(rows, None, exact=True)
    assert len(logits) > 3
    wanted = probabilities(logits[:, :3].astype(float), TargetKind.MULTI_LABEL).max(axis=0)[:2]
    np.testing.assert_allclose(scores["moderation"][0, :2], wanted, atol=1e-6)
