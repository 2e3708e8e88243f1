"""A classifier of the hub, brought in: fetched once, its card's licence kept, no code of it run."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins import COMMIT, Hub

from modwright.artifact import read_artifact
from modwright.errors import UsageError
from modwright.pipeline.import_model import ImportedLabels, import_model
from modwright.schema import TargetKind
from modwright.settings import Settings
from modwright.testing import tiny_tokenizer

REPO = "org/goose-guard"


def published(folder: Path) -> dict[str, bytes]:
    """Return the files of a tiny classifier that states no problem type, its weights in several."""
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = transformers.BertConfig(
            vocab_size=tiny_tokenizer().get_vocab_size(),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=66,
        )
        model = transformers.BertForSequenceClassification(config).eval()
        model.save_pretrained(folder, max_shard_size="8KB")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer(), pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# A card")
    (folder / "modeling_goose.py").write_text("raise SystemExit('code from a repository ran')")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_classifier_of_the_hub_is_brought_in(hub: Hub, settings: Settings, tmp_path: Path) -> None:
    hub.repositories[REPO] = published(tmp_path / "published")
    with pytest.raises(UsageError, match=r"labels are LABEL_0, LABEL_1"):
        import_model(REPO, tmp_path / "model", ImportedLabels(), settings, on_event=lambda event: None)
    labels = ImportedLabels(kind=TargetKind.SINGLE_LABEL)
    result = import_model(REPO, tmp_path / "model", labels, settings, on_event=lambda event: None)
    (base,) = read_artifact(result.folder).bases
    assert (base.name, base.licence) == ("org--goose-guard", "cc-by-4.0")
    assert len(result.notes) == 2  # labels without names, and none that says nothing is wrong
    card = (result.folder / "README.md").read_text(encoding="utf-8")
    assert "hub repository `org/goose-guard`" in card
    assert "cc-by-4.0" in card
    weights = [name for name in hub.repositories[REPO] if name.startswith("model-")]
    assert len(weights) > 1
    kept = {path.name for path in (result.folder / "model").glob("*safetensors*")}
    assert kept == {*weights, "model.safetensors.index.json"}
    for name in weights:
        asked = [request for request in hub.requests if request.endswith(name) and "GET" in request]
        assert len(asked) == 1
        assert COMMIT in asked[0]
