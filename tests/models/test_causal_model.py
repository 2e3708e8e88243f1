"""Causal classifiers: their scores are the plain model's, whatever the batch, and survive being saved."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    MistralConfig,
    MistralForCausalLM,
)

from modwright.errors import ArtifactError, SourceError
from modwright.models.answers import Answers, Network, heads_of, near_batches
from modwright.models.causal import CausalClassifier
from modwright.models.decoder import Decoder, Segment, load_causal
from modwright.models.prompts import Prompts
from modwright.models.tokens import Tokenizer
from modwright.schema import pair_input, text_input
from modwright.testing import (
    TINY_SCHEMA,
    make_tiny_causal,
    tiny_byte_tokenizer,
    tiny_causal_recipe,
    tiny_rows,
    tiny_texts,
)
from modwright.training.causal import CausalFamily

INPUTS = [
    text_input("silly goose"),
    text_input("my garden near the river"),
    text_input(""),
    text_input("the garden " * 30 + "donkey"),
    text_input("<cut> so: kind <|end|>"),
    pair_input("walk near the river " * 9, "silly goose again"),
]
HEAD, BODY, ENDINGS = [5, 9, 3, 7], [11, 12, 13], [[21, 22], [31, 32, 33, 34], []]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny_causal(tmp_path_factory.mktemp("causal") / "tiny-llama")


def trained(base, *overrides, steps=3):
    """Return a family, and a task whose weights were moved by a few large steps."""
    recipe = tiny_causal_recipe(base, *overrides)
    family = CausalFamily(recipe, TINY_SCHEMA, base)
    task = family.task(tiny_rows(40), 0)
    weights = [weight for group in task.groups() for weight in group.parameters]
    optimizer = torch.optim.SGD(weights, lr=0.5) if weights else None
    for step in range(steps if weights else 0):
        task.loss(np.arange(step * 8, step * 8 + 8)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return family, task


def plain_scores(model, prompts, value, span):
    """Score one text as transformers does: every question a whole prompt of its own."""
    found = {}
    for number, form in enumerate(prompts.forms):
        (body,) = prompts.bodies(number, [value], [[span]])
        for reading in form.readings:
            rows = []
            for ending in reading.endings:
                ids = torch.tensor([[*form.head, *body, *form.endings[ending]]])
                with torch.inference_mode():
                    logits = model(input_ids=ids).logits[0, -1, [word[0] for word in reading.words]]
                rows.append(torch.softmax(logits, dim=0).numpy())
            found[reading.target.name] = rows[0] if len(rows) == 1 else np.array([row[0] for row in rows])
    return found


def prompts_of(base, recipe):
    return Prompts(
        recipe.prompt, recipe.answer.read, TINY_SCHEMA, Tokenizer(base / "tokenizer.json"), context_tokens=16
    )


def test_scores_are_those_of_a_plain_forward_pass_one_by_one(base):
    family, task = trained(base, "adapter.method=none")
    classifier = family.classifier(task)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    texts = [text_input(text) for text in tiny_texts(12)]
    scores = classifier.predict_proba(texts).values
    for row, value in enumerate(texts):
        wanted = plain_scores(model, family.prompts, value, (0, len(value[-1].content)))
        for name, values in wanted.items():
            np.testing.assert_allclose(scores[name][row], values, atol=1e-5)


def test_batch_mates_and_order_change_nothing(base):
    family, task = trained(base)
    classifier = family.classifier(task)
    together = classifier.predict_proba(INPUTS)
    backwards = classifier.predict_proba(INPUTS[::-1])
    for row, value in enumerate(INPUTS):
        alone = classifier.predict_proba([value])
        for name, values in together.values.items():
            np.testing.assert_allclose(alone.values[name][0], values[row], atol=1e-5)
            np.testing.assert_allclose(backwards.values[name][-1 - row], values[row], atol=1e-5)
        assert together.windows[row] == alone.windows[0]


@pytest.mark.parametrize("pad_left", [False, True])
def test_padding_on_either_side_changes_nothing(base, pad_left):
    decoder = Decoder(load_causal(base, attention="sdpa"), constant=True)
    short = [Segment(BODY), Segment(ENDINGS[0], 0), Segment(ENDINGS[1], 0)]
    long = [Segment(BODY * 6), Segment(ENDINGS[1], 0)]
    with torch.inference_mode():
        for head in (HEAD, []):
            both = decoder.states(head, [short, long], pad_left=pad_left)
            for row, segments in enumerate((short, long)):
                alone = decoder.states(head, [segments])
                for part in range(len(segments)):
                    found, wanted = both.flat[both.ends[row][part]], alone.flat[alone.ends[0][part]]
                    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def tiny_gemma():
    config = Gemma3TextConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        intermediate_size=32,
        sliding_window=4,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        final_logit_softcapping=5.0,
        initializer_range=0.3,
    )
    return Gemma3ForCausalLM(config).eval()


def tiny_mistral():
    config = MistralConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        sliding_window=4,
        initializer_range=0.3,
    )
    return MistralForCausalLM(config).eval()


@pytest.mark.parametrize("make", [tiny_gemma, tiny_mistral])
def test_sliding_windows_and_capped_logits_are_the_models_own(make):
    torch.manual_seed(1)
    model = make()
    decoder = Decoder(model, constant=True)
    rows = [[Segment(BODY), *(Segment(ending, 0) for ending in ENDINGS)]]
    with torch.inference_mode():
        states = decoder.states(HEAD, rows)
        for place, ending in enumerate(ENDINGS):
            ids = torch.tensor([[*HEAD, *BODY, *ending]])
            wanted = model(input_ids=ids).logits[0, -1, [3, 40]]
            found = decoder.logits(states.flat[[states.ends[0][1 + place]]], [3, 40])[0]
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_an_architecture_that_does_not_run_in_parts_is_refused():
    model = tiny_gemma()
    decoder = Decoder(model, constant=True)
    decoder.check(HEAD, ENDINGS[:2])
    decoder._softcap = None
    with pytest.raises(SourceError, match="gives other logits in parts than whole"):
        decoder.check(HEAD, ENDINGS[:2])


def test_a_head_computed_once_gives_the_scores_and_gradients_of_one_in_every_row(base):
    _, task = trained(base)
    items = np.arange(12)
    found = []
    for shares in (True, False):
        task._answers.decoder.shares_head = shares
        loss = task.loss(items)
        weights = [weight for group in task.groups() for weight in group.parameters]
        found.append((loss.detach(), torch.autograd.grad(loss, weights)))
    torch.testing.assert_close(found[0][0], found[1][0])
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("adapter.modules=['q_proj', 'v_proj']", "adapter.rank=2"),
        ("answer.read=head",),
        ("adapter.method=none",),
        ("adapter.method=full",),
    ],
)
def test_a_saved_model_gives_the_scores_of_training(base, tmp_path, overrides):
    family, task = trained(base, *overrides)
    classifier = family.classifier(task)
    training = task.scores(INPUTS, exact=True)
    classifier.save(tmp_path)
    loaded = CausalClassifier.load(tmp_path, TINY_SCHEMA)
    again = loaded.predict_proba(INPUTS)
    for name, values in training.items():
        np.testing.assert_allclose(again.values[name], values, atol=1e-4)
    loaded.save(tmp_path / "twice")
    for path in sorted((tmp_path / "model").iterdir()):
        assert path.read_bytes() == (tmp_path / "twice" / "model" / path.name).read_bytes(), path.name


def test_a_fresh_process_gives_the_scores_of_training(base, tmp_path):
    family, task = trained(base)
    untrained = CausalFamily(tiny_causal_recipe(base, "adapter.method=none"), TINY_SCHEMA, base)
    before = untrained.classifier(untrained.task(tiny_rows(8), 0)).predict_proba(INPUTS).values
    family.classifier(task).save(tmp_path)
    (tmp_path / "schema.json").write_text(json.dumps(TINY_SCHEMA.to_json()))
    texts = [value[-1].content for value in INPUTS[:5]]
    code = (
        "import json, sys, pathlib\n"
        "from modwright.models.causal import CausalClassifier\n"
        "from modwright.schema import Schema, text_input\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "schema = Schema.from_json(json.loads((folder / 'schema.json').read_text()))\n"
        "classifier = CausalClassifier.load(folder, schema, threads=1)\n"
        "scores = classifier.predict_proba([text_input(text) for text in json.loads(sys.argv[2])])\n"
        "assert 'peft' not in sys.modules\n"
        "print(json.dumps({name: values.tolist() for name, values in scores.values.items()}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), json.dumps(texts)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name, values in task.scores(INPUTS[:5], exact=True).items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
        assert (
            np.abs(values - before[name][:5]).max() > 0.01
        )  # or the adapters' being there would prove nothing


def test_the_artifact_holds_the_base_and_no_path_of_this_machine(base, tmp_path):
    family, task = trained(base, steps=1)
    family.classifier(task).save(tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {
        "model/adapter.safetensors",
        "model/causal.json",
        "model/config.json",
        "model/model.safetensors",
        "tokenizer/tokenizer.json",
    }
    assert (tmp_path / "model/model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    for name in names:
        assert str(base.parent).encode() not in (tmp_path / name).read_bytes(), name


def without_a_tensor(path):
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda folder: (folder / "model/adapter.safetensors").unlink(), "adapter"),
        (lambda folder: without_a_tensor(folder / "model/adapter.safetensors"), "not whole"),
        (lambda folder: without_a_tensor(folder / "model/model.safetensors"), "missing keys"),
        (lambda folder: (folder / "tokenizer/tokenizer.json").unlink(), "tokenizer"),
        (lambda folder: (folder / "model/causal.json").write_text("{}"), "missing"),
    ],
)
def test_nothing_that_is_missing_is_made_up(base, tmp_path, broken, said):
    family, task = trained(base, steps=1)
    family.classifier(task).save(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")  # the base's weights are linked: break a copy
    broken(tmp_path / "b")
    with pytest.raises(ArtifactError, match=said):
        CausalClassifier.load(tmp_path / "b", TINY_SCHEMA)


def test_a_missing_head_is_an_error(base, tmp_path):
    family, task = trained(base, "answer.read=head", steps=1)
    family.classifier(task).save(tmp_path)
    without_a_tensor(tmp_path / "model/heads.safetensors")
    with pytest.raises(ArtifactError, match="the heads' tensors"):
        CausalClassifier.load(tmp_path, TINY_SCHEMA)


def test_long_texts_are_scored_in_windows_of_the_text(base):
    family, task = trained(base)
    scores = family.classifier(task).predict_proba([text_input("the garden " * 30 + "donkey")])
    text = "the garden " * 30 + "donkey"
    assert scores.windows[0] > 1
    for spans in scores.spans.values():
        for begin, end in spans[0]:
            assert 0 <= begin < end <= len(text)


def test_no_input_gives_no_scores(base):
    family, task = trained(base, "adapter.method=none")
    scores = family.classifier(task).predict_proba([])
    assert {name: values.shape for name, values in scores.values.items()} == {
        "moderation": (0, 3),
        "tone": (0, 2),
    }


def test_a_tokenizer_with_a_beginning_token_gives_it_to_every_head(base, tmp_path):
    backend = tiny_byte_tokenizer()
    backend.add_special_tokens(["<bos>"])
    from tokenizers.processors import TemplateProcessing

    backend.post_processor = TemplateProcessing(
        single="<bos> $A <|end|>",
        special_tokens=[(name, backend.token_to_id(name)) for name in ("<bos>", "<|end|>")],
    )
    backend.save(str(tmp_path / "tokenizer.json"))
    prompts = prompts_of(tmp_path, tiny_causal_recipe(base))
    for form in prompts.forms:
        assert form.head[0] == backend.token_to_id("<bos>")
        assert form.head.count(form.head[0]) == 1
        assert backend.token_to_id("<|end|>") not in form.head
        assert all(form.head[0] not in ending for ending in form.endings)


def test_near_batches_hold_every_row_once_and_little_padding():
    lengths = [3, 50, 4, 49, 3, 200, 51]
    batches = list(near_batches(lengths, 110))
    assert sorted(row for batch in batches for row in batch) == list(range(7))
    for batch in batches:
        inside = [lengths[row] for row in batch]
        assert max(inside) <= min(inside) * 1.1 + 2
        assert len(batch) == 1 or max(inside) * len(batch) <= 110


def test_a_network_has_heads_only_for_targets_that_are_read_by_one(base):
    recipe = tiny_causal_recipe(base, "answer.read=head")
    prompts = prompts_of(base, recipe)
    assert heads_of(TINY_SCHEMA, prompts) == {"moderation": 3, "tone": 2}
    assert heads_of(TINY_SCHEMA, prompts_of(base, tiny_causal_recipe(base))) == {}
    network = Network(load_causal(base, attention="sdpa"), {"tone": 2})
    assert Answers(network, prompts, constant=True).network.head("tone").out_features == 2
