"""Causal LMs in training: what is learnt of which label, and that it is learnt."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from modwright.errors import RecipeError
from modwright.recipe import TargetRecipe
from modwright.schema import Schema, Target, TargetKind, pair_input
from modwright.testing import MODERATION, TINY_SCHEMA, TONE, make_tiny_causal, tiny_causal_recipe, tiny_rows
from modwright.training.causal import CausalFamily
from modwright.training.events import Looked, Step, follow
from modwright.training.loop import run
from modwright.training.plan import plan_of
from modwright.training.rows import TrainingRows
from modwright.training.tuned import fit_tuned

SEQUENCE = (
    "answer.loss=sequence",
    "adapter.method=full",
    "base.freeze_embeddings=false",
    "optimizer.learning_rate=3e-3",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny_causal(tmp_path_factory.mktemp("causal") / "tiny-llama")


def family_of(base, *overrides, schema=TINY_SCHEMA, targets=None):
    recipe = tiny_causal_recipe(base, *overrides).model_copy(update={"targets": targets or {}})
    return CausalFamily(recipe, schema, base)


def rows_of(number, schema=TINY_SCHEMA, **changes):
    rows = tiny_rows(number)
    labels = {target.name: rows.labels[target.name].copy() for target in schema}
    return dataclasses.replace(rows, labels=labels, **changes)


def log_loss(schema, scores, rows):
    """Return the mean masked log-loss over rows, its targets summed as the loop does it: by the definition."""
    total = weight = 0.0
    for target in schema:
        truth, found = rows.labels[target.name], np.clip(scores[target.name], 1e-12, 1 - 1e-12)
        for row, known in enumerate(~np.isnan(truth)):
            w, labels = rows.weights[row], len(target.labels)
            if target.kind is TargetKind.SINGLE_LABEL:
                if known.all():
                    total -= w * float((truth[row] * np.log(found[row])).sum())
                    weight += w
                continue
            for label in np.flatnonzero(known):
                y, p = truth[row, label], found[row, label]
                total -= w / labels * float(y * np.log(p) + (1 - y) * np.log(1 - p))
                weight += w / labels
    return total / weight


@pytest.mark.parametrize("read", ["questions", "head"])
def test_the_loss_is_the_log_loss_of_the_scores(base, read):
    rows = rows_of(24, weights=np.linspace(0.5, 2.0, 24))
    rows.labels["moderation"][:6, 0] = np.nan
    rows.labels["moderation"][3:5] = np.nan
    rows.labels["moderation"][7] = [0.3, 0.9, 0.1]  # soft
    rows.labels["tone"][8:12] = np.nan
    rows.labels["tone"][13] = [0.25, 0.75]
    task = family_of(base, f"answer.read={read}").task(rows, 0)
    items = np.arange(len(task.lengths))
    found = float(task.loss(items).detach()) / task.weight(items)
    task.model.eval()
    assert found == pytest.approx(log_loss(TINY_SCHEMA, task.scores(rows.inputs, exact=True), rows), rel=1e-4)


def test_what_is_unknown_is_not_even_asked(base):
    schema = Schema((MODERATION,))
    rows = rows_of(8, schema)
    whole = family_of(base, schema=schema).task(rows, 0)
    rows.labels["moderation"][0, 1:] = np.nan
    rows.labels["moderation"][1] = np.nan
    some = family_of(base, schema=schema).task(rows, 0)
    assert len(some.lengths) == len(whole.lengths) - 1
    assert some.lengths[0] < whole.lengths[0]


def test_a_documents_windows_share_its_weight(base):
    schema = Schema((TONE,))
    rows = rows_of(4, schema)
    long = " ".join(["garden river"] * 30)
    rows = dataclasses.replace(rows, inputs=[pair_input("walk", long), *rows.inputs[1:]])
    task = family_of(base, schema=schema).task(rows, 0)
    items = np.arange(len(task.lengths))
    assert len(items) > 4
    assert task.weight(items) == pytest.approx(4.0)


def test_target_weights_and_class_weights_multiply_losses(base):
    rows = rows_of(16)
    plain = family_of(base).task(rows, 0)
    doubled = family_of(
        base, targets={"tone": TargetRecipe(weight=2.0), "moderation": TargetRecipe(weight=0.0)}
    ).task(rows, 0)
    items = np.arange(len(plain.lengths))
    of_tone = [item for item in items if plain._items[item].form == 1]
    kept = np.arange(len(doubled.lengths))
    assert doubled.weight(kept) == pytest.approx(2 * plain.weight(np.asarray(of_tone)))
    assert float(doubled.loss(kept).detach()) == pytest.approx(
        2 * float(plain.loss(np.asarray(of_tone)).detach()), rel=1e-5
    )


def by_hand(task, item, truth):
    """Return one item's sequence loss as a plain language model has it, averaged over its possible answers."""
    form, lm = task._answers.prompts.forms[item.form], task.model.lm
    (reading,) = form.readings
    end = lm.config.eos_token_id
    prompt = [*form.head, *item.body, *form.endings[reading.endings[0]]]
    losses, size = 0.0, len(prompt) - 1
    for word, share in zip(reading.words, truth, strict=True):
        ids = torch.tensor([[*prompt, *word, end]])
        log_p = torch.log_softmax(lm(input_ids=ids).logits[0, :-1], dim=-1)
        each = -log_p[torch.arange(ids.shape[1] - 1), ids[0, 1:]]
        losses = losses + share * each.sum()
        size += share * (len(word) + 1)
    return float(losses / size)


@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_the_sequence_loss_is_the_language_models_own(base, checkpointing):
    schema = Schema((TONE,))
    rows = rows_of(6, schema)
    rows.labels["tone"][0] = [0.25, 0.75]
    overrides = ("answer.loss=sequence", f"training.gradient_checkpointing={checkpointing}")
    task = family_of(base, *overrides, schema=schema).task(rows, 0)
    items = np.arange(len(task.lengths))
    with torch.no_grad():
        wanted = sum(
            by_hand(task, item, rows.labels["tone"][number]) for number, item in enumerate(task._items)
        )
    assert float(task.loss(items).detach()) == pytest.approx(wanted, rel=1e-4)


def test_the_same_rows_and_seed_give_the_same_weights(base):
    rows = rows_of(12)
    first, again, other = (family_of(base).task(rows, seed) for seed in (1, 1, 2))
    pairs = zip(first.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    pairs = zip(first.model.parameters(), other.model.parameters(), strict=True)
    assert not all(torch.equal(one, two) for one, two in pairs)


def test_every_trainable_weight_is_in_exactly_one_group(base):
    for overrides in ((), ("adapter.method=full",), ("adapter.method=full", "base.freeze_embeddings=false")):
        task = family_of(base, *overrides, "optimizer.layer_decay=0.5", "answer.read=head").task(
            rows_of(8), 0
        )
        grouped = [id(weight) for group in task.groups() for weight in group.parameters]
        trainable = [id(weight) for weight in task.model.parameters() if weight.requires_grad]
        assert sorted(grouped) == sorted(trainable)
        rates = {group.learning_rate for group in task.groups()}
        assert {1e-2, 5e-3} <= rates
    assert 2.5e-3 in rates  # the embeddings, below both layers


def test_only_adapters_are_trained_by_lora_and_nothing_by_none(base):
    names = {
        method: [
            name
            for name, one in family_of(base, f"adapter.method={method}")
            .task(rows_of(8), 0)
            .model.named_parameters()
            if one.requires_grad
        ]
        for method in ("lora", "none", "full")
    }
    assert names["lora"]
    assert all("lora_" in name for name in names["lora"])
    assert names["none"] == []
    assert not any("embed_tokens" in name for name in names["full"])


def test_unknown_modules_are_refused_with_those_there_are(base):
    with pytest.raises(RecipeError, match="'query'") as caught:
        family_of(base, "adapter.modules=['query']").task(rows_of(8), 0)
    assert "q_proj" in str(caught.value.remedy)


def test_words_of_one_choice_cannot_be_learnt_as_several(base):
    with pytest.raises(RecipeError, match="one choice"):
        family_of(base, targets={"tone": TargetRecipe(loss="binary")})


@pytest.mark.parametrize(
    ("overrides", "least"),
    [
        (("training.epochs=6",), 0.8),
        (("training.epochs=5", *SEQUENCE), 0.65),  # most of that loss is the prompt's
        (("training.epochs=5", "answer.read=head"), 0.7),
    ],
)
def test_tiny_data_is_learnt(base, overrides, least):
    target = Target.create("tone", TargetKind.SINGLE_LABEL, ("kind", "rude"), negative=("kind",))
    schema = Schema((target,))
    rows = rows_of(160, schema)
    family = family_of(base, *overrides, schema=schema)
    task = family.task(rows, 0)
    steps = []
    follow(run(task, plan_of(family.recipe, task.lengths)), steps.append)
    task.model.eval()
    scores = task.scores(rows.inputs, exact=True)["tone"]
    right = (scores.argmax(axis=1) == rows.labels["tone"].argmax(axis=1)).mean()
    assert right > least, right  # always the commoner label: 0.56
    losses = [step.train_loss for step in steps if isinstance(step, Step)]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_a_head_that_nothing_trains_is_refused():
    with pytest.raises(RecipeError, match=r"method = .none. trains no head"):
        tiny_causal_recipe("tiny", "adapter.method=none", "answer.read=head")


def test_zero_shot_is_only_calibrated(base):
    rows = rows_of(60)
    family = family_of(base, "adapter.method=none")
    events = []
    fitted = follow(fit_tuned(family.recipe, TINY_SCHEMA, rows, family), events.append)
    assert not any(isinstance(event, Step) for event in events)
    found = fitted.classifier.predict_proba(rows.inputs[:5]).values
    assert {name: values.shape for name, values in found.items()} == {"moderation": (5, 3), "tone": (5, 2)}


def test_a_whole_fit_ends_in_a_classifier(base):
    rows: TrainingRows = rows_of(60)
    family = family_of(base, "training.epochs=2")
    events = []
    fitted = follow(fit_tuned(family.recipe, TINY_SCHEMA, rows, family), events.append)
    looks = [event.loss for event in events if isinstance(event, Looked)]
    assert len(looks) == 3
    raw = fitted.classifier.predict_proba(fitted.unseen.rows.inputs).values
    for name, values in fitted.unseen.scores.items():
        np.testing.assert_allclose(fitted.calibration[name].apply(raw[name]), values, atol=1e-4)
