"""The exported classifier computes what torch computes, whatever the shape, mask and side of the padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, MPNetConfig, MPNetModel

from modwright.errors import ArtifactError, IntegrityError
from modwright.models import export_encoder
from modwright.models.export_encoder import export_classifier
from modwright.models.runtime import LogitsGraph
from modwright.models.trunk import EncoderModel

SMALL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 80,
    "initializer_range": 0.2,
}


def batches(takes_types):
    """Yield ids, masks and types with padding on the right and on the left."""
    rng = np.random.default_rng(2)
    for n, tokens, padding in ((1, 1, 0), (3, 9, 4), (2, 40, 17)):
        ids = rng.integers(5, 60, size=(n, tokens))
        mask = np.ones((n, tokens), dtype=np.int64)
        mask[-1, tokens - padding :] = 0
        yield ids, mask, rng.integers(0, 2, size=(n, tokens)) * takes_types
        yield ids, mask[:, ::-1].copy(), np.zeros_like(ids)


def same(model, path, takes_types):
    graph = LogitsGraph(path, threads=1)
    for batch in batches(takes_types):
        with torch.inference_mode():
            wanted = model(*(torch.from_numpy(part) for part in batch[: 3 if takes_types else 2]))
        np.testing.assert_allclose(graph.run(*batch), getattr(wanted, "logits", wanted), atol=1e-4)
    return graph


@pytest.fixture(scope="module")
def mpnet():
    torch.manual_seed(1)
    return EncoderModel(MPNetModel(MPNetConfig(**SMALL, attn_implementation="eager")), 4, "cls").eval()


@pytest.fixture(scope="module")
def exported(mpnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "serving" / "classifier.onnx"
    mpnet.train()
    export_classifier(mpnet, path, config=mpnet.trunk.config, takes_types=False)
    assert mpnet.training
    mpnet.eval()
    return path


def test_an_encoder_without_types(mpnet, exported):
    graph = same(mpnet, exported, takes_types=False)
    assert (graph.labels, graph.takes_types) == (4, False)
    assert str(exported.parents[1]).encode() not in exported.read_bytes()


def test_somebody_elses_head(tmp_path):
    torch.manual_seed(1)
    model = BertForSequenceClassification(
        BertConfig(**SMALL, num_labels=5, attn_implementation="eager")
    ).eval()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            given = {"attention_mask": attention_mask, "token_type_ids": token_type_ids}
            return self.model(input_ids, **given).logits

    path = tmp_path / "classifier.onnx"
    export_classifier(Logits().eval(), path, config=model.config, takes_types=True)
    graph = same(Logits().eval(), path, takes_types=True)
    assert (graph.labels, graph.takes_types) == (5, True)


def test_a_graph_that_computes_something_else_is_refused(mpnet, exported):
    torch.manual_seed(9)
    other = EncoderModel(mpnet.trunk, 4, "cls").eval()
    with pytest.raises(IntegrityError, match=r"differs from torch by .* at batch \d"):
        export_encoder._compare(other, exported, 60, 78, 2, 1.0)
    nearly = EncoderModel(mpnet.trunk, 4, "cls").eval()
    nearly.load_state_dict(mpnet.state_dict())
    with torch.no_grad():
        nearly.head.bias += 1e-5
    export_encoder._compare(nearly, exported, 60, 78, 2, 1.0)
    with torch.no_grad():
        nearly.head.bias[3] += 1e-3
    with pytest.raises(IntegrityError, match="differs from torch"):
        export_encoder._compare(nearly, exported, 60, 78, 2, 1.0)


def test_what_is_no_graph(tmp_path):
    (tmp_path / "classifier.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="cannot load this graph"):
        LogitsGraph(tmp_path / "classifier.onnx")
