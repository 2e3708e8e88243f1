"""The exported graph computes what torch does, says nothing of this machine, and is mended when damaged."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoModel

from modwright.errors import ArtifactError, IntegrityError, SourceError
from modwright.files import sha256_file
from modwright.models import export
from modwright.models.export import ensure_graph
from modwright.models.runtime import GRAPH_FILE, Graph, normalised
from modwright.testing import make_tiny_base, tiny_texts


@pytest.fixture(scope="module")
def model(tiny_base_folder):
    return AutoModel.from_pretrained(tiny_base_folder, attn_implementation="eager").eval()


def torch_means(model, ids, mask):
    """Return (N, H, D): the masked mean of every hidden state, written out."""
    with torch.inference_mode():
        states = model(
            input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), output_hidden_states=True
        ).hidden_states
    result = np.zeros((len(ids), len(states), states[0].shape[2]), dtype=np.float32)
    for n in range(len(ids)):
        for h, state in enumerate(states):
            result[n, h] = state[n][torch.from_numpy(mask[n]).bool()].numpy().mean(axis=0)
    return result


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 60), (2, 7), (3, 33), (17, 5)])
@pytest.mark.parametrize("padded", [False, True])
def test_graph_equals_torch_at_shapes_and_masks_it_was_not_traced_with(tiny_base, model, shape, padded):
    rng = np.random.default_rng(shape[0] * 100 + shape[1])
    ids = rng.integers(0, 60, size=shape, dtype=np.int64)
    mask = np.ones(shape, dtype=np.int64)
    if padded:
        for row in range(shape[0]):
            mask[row, int(rng.integers(1, shape[1] + 1)) :] = 0
    found = normalised(tiny_base.graph.run(ids, mask))
    assert np.abs(found - normalised(torch_means(model, ids, mask))).max() < 1e-5


def test_graph_says_nothing_of_the_machine_it_was_made_on(tiny_base):
    proto = onnx.load(tiny_base.graph_path)
    content = tiny_base.graph_path.read_bytes()
    for path in (Path.cwd(), Path.home(), Path(torch.__file__).parent, tiny_base.graph_path.parents[3]):
        assert str(path).encode() not in content
    assert not re.search(rb'File "|\.py\b|site-packages', content)
    assert not proto.doc_string
    assert not proto.graph.doc_string
    assert not proto.metadata_props
    for node in proto.graph.node:
        assert not node.doc_string
        assert not node.metadata_props


def test_another_base_gives_another_graph(tiny_base, tiny_cache, tmp_path):
    other = make_tiny_base(tmp_path / "other", seed=1)
    digest = sha256_file(other / "model.safetensors")
    assert digest != sha256_file(tiny_base.tokenizer_path.parent / "model.safetensors")
    graph = Graph(ensure_graph(other, digest, tiny_cache) / GRAPH_FILE, threads=1)
    ids = np.arange(6, dtype=np.int64)[None]
    assert (
        np.abs(graph.run(ids, np.ones_like(ids)) - tiny_base.graph.run(ids, np.ones_like(ids))).max() > 0.01
    )


def test_an_export_that_differs_from_torch_is_refused(tiny_base_folder, tmp_path, monkeypatch):
    without_traces = export.without_traces

    def doctored(proto):
        proto = without_traces(proto)
        for tensor in proto.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor)
            if values.ndim == 2 and values.dtype == np.float32:
                tensor.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(1.01), tensor.name))
                return proto
        raise AssertionError("no weights found")

    monkeypatch.setattr(export, "without_traces", doctored)
    with pytest.raises(IntegrityError, match="differs from torch by"):
        ensure_graph(tiny_base_folder, "0" * 64, tmp_path)
    assert not list(tmp_path.rglob("*.onnx"))
    assert not list(tmp_path.rglob(".*"))


def test_exporting_twice_gives_the_same_embeddings_and_a_damaged_graph_is_made_again(
    tiny_base_folder, tiny_base, tmp_path
):
    digest = sha256_file(tiny_base_folder / "model.safetensors")
    folder = ensure_graph(tiny_base_folder, digest, tmp_path)
    first = folder.joinpath(GRAPH_FILE).read_bytes()
    ids = np.arange(20, dtype=np.int64).reshape(2, 10)
    mask = np.ones_like(ids)
    assert np.array_equal(
        Graph(folder / GRAPH_FILE, threads=1).run(ids, mask), tiny_base.graph.run(ids, mask)
    )

    made = folder.joinpath(GRAPH_FILE).stat().st_mtime_ns
    assert ensure_graph(tiny_base_folder, digest, tmp_path) == folder
    assert folder.joinpath(GRAPH_FILE).stat().st_mtime_ns == made

    folder.joinpath(GRAPH_FILE).write_bytes(first[:-100] + bytes(100))
    assert ensure_graph(tiny_base_folder, digest, tmp_path) == folder
    assert np.array_equal(
        Graph(folder / GRAPH_FILE, threads=1).run(ids, mask), tiny_base.graph.run(ids, mask)
    )

    assert export._is_sound(folder)
    for broken in ("{ not json", "{}", "[]", '{"sha256": "0"}'):
        folder.joinpath("graph.json").write_text(broken)
        assert not export._is_sound(folder)


def test_a_folder_that_transformers_cannot_load_is_named(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(SourceError, match="cannot load this base"):
        ensure_graph(tmp_path / "base", "1" * 64, tmp_path / "cache")


def test_a_file_that_is_no_graph_is_an_artifact_error(tmp_path):
    (tmp_path / GRAPH_FILE).write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="cannot load this graph"):
        Graph(tmp_path / GRAPH_FILE)


def test_the_tiny_base_and_texts_are_the_same_every_time(tiny_base_folder, tmp_path):
    again = make_tiny_base(tmp_path / "again")
    for name in ("model.safetensors", "tokenizer.json"):
        assert sha256_file(again / name) == sha256_file(tiny_base_folder / name)
    assert tiny_texts(5, seed=3) == tiny_texts(5, seed=3)
    assert tiny_texts(5, seed=3) != tiny_texts(5, seed=4)
