"""Trained classifiers brought in: their scores are transformers' own, and they evaluate and serve."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from modwright.artifact import read_artifact
from modwright.errors import ArtifactError, IntegrityError, RecipeError, SchemaError, SourceError, UsageError
from modwright.pipeline.evaluate import evaluate
from modwright.pipeline.import_model import ImportedLabels, import_model
from modwright.pipeline.published import Published, read_published, target_of
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.testing import tiny_dataset, tiny_texts, tiny_tokenizer

LABELS = ("insult", "threat", "safe")
TEXTS = [*tiny_texts(6), "honk", ""]
_SMALL = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 48}


def configs():
    """Architecture to (its config, what is published in it)."""
    import transformers as t

    few = {"max_position_embeddings": 66, "initializer_range": 0.3, "pad_token_id": 0}
    distil = {"n_layers": 1, "n_heads": 2, "dim": 32, "hidden_dim": 48}
    multi = {"problem_type": "multi_label_classification"}
    single = {"problem_type": "single_label_classification"}
    return {
        "Bert": (t.BertConfig, {**_SMALL, **few, **multi}),
        "DistilBert": (t.DistilBertConfig, {**distil, **few, **single}),
        "Roberta": (t.RobertaConfig, {**_SMALL, **few, **single, "type_vocab_size": 1}),
        "Llama": (t.LlamaConfig, {**_SMALL, **few, **multi, "num_key_value_heads": 1}),
    }


def publish(folder, architecture):
    """Write a tiny classifier as transformers writes one; its tokenizer.json truncates and pads, as published ones do."""
    import torch
    import transformers

    own = tiny_tokenizer()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=own,
        **{"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
        model_max_length=64,
        model_input_names=[
            "input_ids",
            "attention_mask",
            *(["token_type_ids"] if architecture == "Bert" else []),
        ],
    )
    config, values = configs()[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = config(vocab_size=own.get_vocab_size(), id2label=dict(enumerate(LABELS)), **values)
        model = getattr(transformers, f"{architecture}ForSequenceClassification")(made)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Write each architecture once; tests only read the folders."""
    root, made = tmp_path_factory.mktemp("published"), {}

    def make(architecture):
        if architecture not in made:
            made[architecture] = publish(root / architecture.lower(), architecture)
        return made[architecture]

    return make


def bring(folder, out, settings, labels=ImportedLabels(), *overrides):  # noqa: B008 (frozen)
    return import_model(str(folder), out, labels, settings, overrides=overrides, on_event=lambda event: None)


@pytest.fixture(scope="module")
def bert(published, tmp_path_factory, settings):
    """A BERT, brought in; tests only read it."""
    return bring(published("Bert"), tmp_path_factory.mktemp("brought") / "bert", settings)


def pipeline_scores(folder, texts, kind, dtype="auto"):
    """Return what transformers' own pipeline says, each text alone: (N, L)."""
    from transformers import pipeline

    ask = pipeline("text-classification", model=str(folder), device="cpu", top_k=None, dtype=dtype)
    function = "sigmoid" if kind is TargetKind.MULTI_LABEL else "softmax"
    answers = [ask(text, function_to_apply=function) for text in texts]
    found = [answer[0] if isinstance(answer[0], list) else answer for answer in answers]
    return np.array(
        [[{one["label"]: one["score"] for one in row}[label] for label in LABELS] for row in found]
    )


@pytest.mark.parametrize(
    "architecture",
    ["Bert", "Llama", *(pytest.param(name, marks=pytest.mark.real) for name in ("DistilBert", "Roberta"))],
)
def test_scores_are_those_of_transformers_own_pipeline(published, architecture, tmp_path, settings, request):
    folder = published(architecture)
    result = (
        request.getfixturevalue("bert")
        if architecture == "Bert"
        else bring(folder, tmp_path / "model", settings)
    )
    engine = Engine.load(result.folder, threads=1)
    assert result.published.architecture == f"{architecture}ForSequenceClassification"
    assert result.target.kind is configs_kind(architecture)
    expected = pipeline_scores(folder, TEXTS, result.target.kind)
    together = engine.calibrated([text_input(text) for text in TEXTS]).values["moderation"]
    alone = [engine.calibrated([text_input(text)]).values["moderation"][0] for text in TEXTS]
    assert np.abs(together - expected).max() < 1e-4
    assert np.abs(together - np.array(alone)).max() < 1e-6
    assert np.ptp(expected, axis=0).max() > 0.01  # texts differ, or the comparison says nothing
    pair = engine.calibrated([pair_input("the river", "silly goose")]).values["moderation"]
    joined = pipeline_scores(folder, ["the river silly goose"], result.target.kind)
    assert np.abs(pair - joined).max() < 1e-4


def configs_kind(architecture):
    stated = configs()[architecture][1]["problem_type"]
    return TargetKind(stated.removesuffix("_classification"))


def test_a_decoder_too_large_for_a_graph_is_run_by_torch(published, tmp_path, settings, monkeypatch):
    folder = published("Llama")
    as_graph = bring(folder, tmp_path / "graph", settings)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("modwright.pipeline.import_model.LARGEST_GRAPH_BYTES", 1000)
    large = bring(folder, tmp_path / "large", settings)
    assert read_artifact(large.folder).family == "causal"
    assert not (large.folder / "serving").exists()
    assert (large.folder / "model/model.safetensors").samefile(folder / "model.safetensors")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    inputs = [text_input(text) for text in [*TEXTS, " ".join(TEXTS * 3)]]
    inputs += [pair_input("the river", "silly goose"), pair_input("the river " * 60, "silly goose " * 40)]
    engines = [Engine.load(one.folder, threads=1) for one in (as_graph, large)]
    found, wanted = (engine.calibrated(inputs) for engine in reversed(engines))
    assert np.abs(found.values["moderation"] - wanted.values["moderation"]).max() < 1e-5
    assert (found.windows == wanted.windows).all()
    assert found.windows.max() > 1
    assert (found.spans["moderation"] == wanted.spans["moderation"]).all()
    alone = [engines[1].calibrated([value]).values["moderation"][0] for value in inputs]
    assert np.abs(found.values["moderation"] - np.array(alone)).max() < 1e-5
    assert bring(folder, tmp_path / "again", settings).artifact.id == large.artifact.id


def test_an_encoder_too_large_for_a_graph_is_refused(published, tmp_path, settings, monkeypatch):
    monkeypatch.setattr("modwright.pipeline.import_model.LARGEST_GRAPH_BYTES", 1000)
    with pytest.raises(UsageError, match=r"graph would take .* GB"):
        bring(published("Bert"), tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_a_large_decoder_in_several_bf16_files_keeps_them(published, tmp_path, settings, monkeypatch):
    import torch
    from safetensors import safe_open
    from transformers import LlamaForSequenceClassification

    monkeypatch.setattr("modwright.pipeline.import_model.LARGEST_GRAPH_BYTES", 1000)
    folder = tmp_path / "shards"
    shutil.copytree(published("Llama"), folder)
    model = LlamaForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="8KB")
    found = bring(folder, tmp_path / "out", settings)
    files = sorted(path.name for path in (found.folder / "model").glob("*.safetensors"))
    assert len(files) > 1
    with safe_open(found.folder / "model" / files[0], "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118
    scores = Engine.load(found.folder, threads=1).calibrated([text_input(text) for text in TEXTS])
    expected = pipeline_scores(folder, TEXTS, TargetKind.MULTI_LABEL, torch.float32)
    assert np.abs(scores.values["moderation"] - expected).max() < 1e-4


def test_a_large_decoder_that_does_not_fit_its_labels_is_refused(published, tmp_path, settings, monkeypatch):
    from modwright.models.published_decoder import PublishedDecoder

    monkeypatch.setattr("modwright.pipeline.import_model.LARGEST_GRAPH_BYTES", 1000)
    folder = bring(published("Llama"), tmp_path / "out", settings).folder
    schema = read_artifact(folder).schema
    own = schema.target("moderation")
    turned = Schema((Target(own.name, own.kind, own.labels[::-1], own.negative_labels),))
    with pytest.raises(ArtifactError, match="the logits are"):
        PublishedDecoder.load(folder, turned)
    (folder / "model/decoder.json").unlink()
    with pytest.raises(ArtifactError):
        PublishedDecoder.load(folder, schema)


def test_the_artifact_says_where_it_came_from(bert, published):
    artifact = read_artifact(bert.folder)
    card = (bert.folder / "README.md").read_text(encoding="utf-8")
    assert artifact.family == "encoder"
    assert artifact.dataset_id == "unknown"
    assert artifact.schema.target("moderation").negative_labels == ("safe",)
    for part in (
        "brought in from the folder `bert`",
        "BertForSequenceClassification",
        "insult, threat, safe",
    ):
        assert part in card
    assert str(published("Bert").parent) not in card + (bert.folder / "recipe.toml").read_text()
    assert bert.drift < 1e-4
    thresholds = json.loads((bert.folder / "thresholds.json").read_text())["operating_points"]["default"]
    assert thresholds["thresholds"] == {"moderation": {"insult": 0.5, "threat": 0.5}}


def test_it_evaluates(bert, tmp_path, settings):
    found = evaluate(bert.folder, tiny_dataset(30, held_out=20), tmp_path / "report", settings, resamples=10)
    assert set(found.evaluations) == {"validation", "test"}
    assert "brought in" in found.report.read_text(encoding="utf-8")


def test_it_is_served(bert):
    command = [sys.executable, "-c", "from modwright.cli import main; main()", "serve", str(bert.folder)]
    process = subprocess.Popen(
        [*command, "--no-jobs", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        ready = json.loads(process.stdout.readline())
        body = json.dumps({"input": "you silly goose"}).encode()
        asked = urllib.request.Request(
            f"{ready['url']}/v1/moderations", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=60) as response:
            (result,) = json.loads(response.read())["results"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    engine = Engine.load(bert.folder, threads=1)
    expected = engine.calibrated([text_input("you silly goose")]).values["moderation"][0]
    assert result["category_scores"]["insult"] == pytest.approx(expected[0], abs=1e-4)


def test_a_missing_head_or_a_pickle_is_refused(published, tmp_path, settings):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "headless"
    shutil.copytree(published("Bert"), folder)
    weights = {
        name: value
        for name, value in load_file(folder / "model.safetensors").items()
        if "classifier" not in name
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=r"weights of classifier.* are missing"):
        bring(folder, tmp_path / "out", settings)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"only as a pickle.*safetensors"):
        bring(folder, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_code_that_comes_with_a_model_is_not_run(published, tmp_path, settings):
    folder = tmp_path / "coded"
    shutil.copytree(published("Bert"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "goose",
        "auto_map": {"AutoModelForSequenceClassification": "code.Goose", "AutoConfig": "code.C"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('ran')")
    with pytest.raises(SourceError, match="cannot load this classifier"):
        bring(folder, tmp_path / "out", settings)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("input.pair='{prompt}'", "with {response}"),
        ("decision.threshold=2", "threshold"),
        ("window.tokens=9", "max_tokens"),
    ],
)
def test_a_wrong_value_is_named(override, message, tmp_path, settings):
    with pytest.raises(RecipeError, match=message):
        bring("anything", tmp_path / "out", settings, ImportedLabels(), override)


THREE = Published("XForSequenceClassification", ("LABEL_0", "LABEL_1", "LABEL_2"), None)


def target(published=THREE, **changes):
    given = {"name": "m", "kind": None, "negative": (), "renames": {}, "named": None}
    return target_of(published, **{**given, **changes})


def test_a_kind_that_is_not_stated_must_be_given():
    with pytest.raises(UsageError, match=r"no problem_type; its labels are LABEL_0.*--kind"):
        target()
    assert target(kind=TargetKind.SINGLE_LABEL).kind is TargetKind.SINGLE_LABEL
    assert target(Published("X", ("toxic",), None)).kind is TargetKind.MULTI_LABEL
    with pytest.raises(UsageError, match="'regression'"):
        target(Published("X", ("score",), "regression"))


def test_labels_are_renamed_or_named_by_a_schema(bert):
    found = target(kind=TargetKind.SINGLE_LABEL, renames={"LABEL_0": "fine"}, negative=("fine",))
    assert (found.labels, found.negative_labels) == (("fine", "LABEL_1", "LABEL_2"), ("fine",))
    with pytest.raises(SchemaError, match="did you mean 'LABEL_2'"):
        target(kind=TargetKind.SINGLE_LABEL, renames={"LABEL_22": "fine"})
    named = read_artifact(bert.folder).schema
    assert target(named=named).labels == LABELS
    with pytest.raises(UsageError, match="has 1 labels"):
        target(Published("X", ("toxic",), None), named=named)


NAMED = Schema((Target("m", TargetKind.MULTI_LABEL, LABELS, ("safe",)),))


def test_a_schema_that_names_the_models_own_labels_does_not_move_them():
    own = Published("X", ("safe", "threat", "insult"), None)
    assert target(own, named=NAMED).labels == ("safe", "threat", "insult")
    assert target(own, named=NAMED).negative_labels == ("safe",)
    numbered = Published("X", ("LABEL_0", "LABEL_1", "LABEL_2"), None)
    renamed = target(
        numbered, renames={"LABEL_0": "safe", "LABEL_1": "threat", "LABEL_2": "insult"}, named=NAMED
    )
    assert renamed.labels == ("safe", "threat", "insult")


def test_a_schema_that_would_move_some_of_the_labels_is_refused():
    with pytest.raises(UsageError, match="'threat' is the model's label 0, the schema's 1"):
        target(Published("X", ("threat", "insults", "safe"), None), named=NAMED)


def test_a_schema_does_not_turn_a_softmax_into_sigmoids_unasked():
    single = Published("X", ("LABEL_0", "LABEL_1", "LABEL_2"), "single_label_classification")
    with pytest.raises(UsageError, match=r"says single_label.*--kind"):
        target(single, named=NAMED)
    assert target(single, named=NAMED, kind=TargetKind.MULTI_LABEL).kind is TargetKind.MULTI_LABEL
    with pytest.raises(UsageError, match="'regression'"):
        target(Published("X", THREE.labels, "regression"), named=NAMED)
    assert target(THREE, named=NAMED).kind is TargetKind.MULTI_LABEL


def test_a_softmax_over_one_label_is_refused():
    with pytest.raises((UsageError, SchemaError), match="toxic"):
        target(Published("X", ("toxic",), None), kind=TargetKind.SINGLE_LABEL)


def test_a_kind_against_the_models_own_is_told(bert, published, tmp_path, settings):
    labels = ImportedLabels(kind=TargetKind.SINGLE_LABEL)
    found = bring(published("Bert"), tmp_path / "model", settings, labels)
    assert any("says multi_label" in note for note in found.notes)
    assert not any("says multi_label" in note for note in bert.notes)


def test_many_labels_keep_the_order_of_their_numbers(tmp_path):
    names = {str(place): f"label {place}" for place in sorted(range(12), key=str)}
    config = {"architectures": ["BertForSequenceClassification"], "id2label": names}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_published(tmp_path).labels == tuple(f"label {place}" for place in range(12))


def test_a_config_must_be_a_classifiers_with_whole_labels(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"architectures": ["BertModel"]}))
    with pytest.raises(UsageError, match="architecture is BertModel"):
        read_published(tmp_path)
    path.write_text(json.dumps({"architectures": ["BertForSequenceClassification"], "id2label": {"1": "a"}}))
    with pytest.raises(IntegrityError, match="expected 0 and up"):
        read_published(tmp_path)
