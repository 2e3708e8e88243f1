"""Checkpoints: whole or not there, verified, pruned by recency and by quality; a damaged one is passed over."""

from __future__ import annotations

import json

import pytest
import torch

from modwright.errors import IntegrityError, TrainingError
from modwright.training.checkpoints import MANIFEST, CheckpointStore

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


def store_in(folder, run="this", keep_last=2, keep_best=1):
    return CheckpointStore(folder, keep_last=keep_last, keep_best=keep_best, run=run)


def save(store, step, best=None, values=()):
    store.save(step, {"best": best, "values": [list(value) for value in values]}, TENSORS)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def latest(store):
    said = []
    return store.latest(said.append), said


def test_what_is_saved_is_read_back(tmp_path):
    store = store_in(tmp_path / "run")
    assert latest(store) == (None, [])
    save(store, 7)
    found, said = latest(store)
    assert (found.step, found.state, said) == (7, {"best": None, "values": []}, [])
    read = store.tensors(found, {"a": TENSORS["a"], "b": None, "never written": None})
    assert set(read) == {"a", "b"}
    assert all(torch.equal(read[name], TENSORS[name]) for name in read)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".safetensors"}


def test_the_newest_and_the_best_are_kept(tmp_path):
    store = store_in(tmp_path)
    looks = [(0, 0.1), (2, 0.9), (4, 0.5), (6, 0.4)]
    for at, (step, _) in enumerate(looks):
        seen = looks[: at + 1]
        best = max(seen, key=lambda look: look[1])[0]
        if best == step:
            store.save_best(step, {"a": TENSORS["a"]})
        if step:
            save(store, step, best, seen)
    assert names(tmp_path) == ["best-00000002", "step-00000004", "step-00000006"]
    assert torch.equal(store.best(2, {"a": TENSORS["a"]})["a"], TENSORS["a"])


def test_a_checkpoint_keeps_the_best_weights_it_goes_back_to(tmp_path):
    store = store_in(tmp_path, keep_best=0)
    store.save_best(1, TENSORS)
    save(store, 1, 1, [(1, 0.1)])
    store.save_best(2, TENSORS)
    save(store, 2, 2, [(1, 0.1), (2, 0.2)])
    assert names(tmp_path) == ["best-00000001", "best-00000002", "step-00000001", "step-00000002"]
    save(store, 3, 2, [(1, 0.1), (2, 0.2)])
    assert names(tmp_path) == ["best-00000002", "step-00000002", "step-00000003"]


def damage_bytes(folder):
    path = folder / "state.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def cut_short(folder):
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def lose_manifest(folder):
    (folder / MANIFEST).unlink()


def break_manifest(folder):
    (folder / MANIFEST).write_text("[1, 2")


def other_version(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "version": 99}))


@pytest.mark.parametrize("harm", [damage_bytes, cut_short, lose_manifest, break_manifest, other_version])
def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path, harm):
    store = store_in(tmp_path)
    save(store, 5)
    save(store, 10)
    harm(tmp_path / "step-00000010")
    found, said = latest(store)
    assert found.step == 5
    assert len(said) == 1
    assert "the checkpoint of step 10 is passed over" in said[0]


def test_a_checkpoint_whose_best_weights_are_damaged_is_passed_over(tmp_path):
    store = store_in(tmp_path)
    save(store, 1)
    store.save_best(2, TENSORS)
    save(store, 2, 2, [(2, 1.0)])
    path = tmp_path / "best-00000002" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert latest(store)[0].step == 1
    with pytest.raises(IntegrityError):
        store.best(2, TENSORS)


def test_checkpoints_of_another_run_are_not_used(tmp_path):
    save(store_in(tmp_path, run="other rows"), 3)
    found, said = latest(store_in(tmp_path))
    assert found is None
    assert "another run" in said[0]


@pytest.mark.parametrize("before", ["other rows", "this"])
def test_what_was_passed_over_does_not_take_the_place_of_what_is_new(tmp_path, before):
    old = store_in(tmp_path, run=before, keep_last=1)
    save(old, 500)
    damage_bytes(tmp_path / "step-00000500")
    store = store_in(tmp_path, keep_last=1)
    save(store, 3)
    assert names(tmp_path) == ["step-00000003"]
    assert latest(store)[0].step == 3


def test_what_a_killed_writer_left_is_no_checkpoint_and_is_cleared(tmp_path):
    store = store_in(tmp_path)
    save(store, 4)
    left = tmp_path / ".step-00000005.partial"
    left.mkdir()
    (left / "state.safetensors").write_bytes(b"half")
    assert latest(store)[0].step == 4
    save(store, 5)
    assert not left.exists()
    assert latest(store)[0].step == 5


def test_a_full_disk_is_told_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    store = store_in(tmp_path)
    save(store, 4)

    def full(tensors, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("modwright.training.parallel.write_tensors", full)
    with pytest.raises(TrainingError, match="No space left") as caught:
        save(store, 5)
    assert "make room" in caught.value.remedy
    assert names(tmp_path) == ["step-00000004"]
    assert latest(store)[0].step == 4


def test_writing_the_same_step_again_replaces_it(tmp_path):
    store = store_in(tmp_path)
    save(store, 4)
    store.save(4, {"best": None, "values": [], "again": True}, {"a": torch.zeros(1)})
    found, _ = latest(store)
    assert found.state["again"]
    assert store.tensors(found, {"a": None})["a"].shape == (1,)


def test_other_shapes_are_an_integrity_error(tmp_path):
    store = store_in(tmp_path)
    save(store, 1)
    with pytest.raises(IntegrityError, match="shape"):
        store.tensors(latest(store)[0], {"a": torch.zeros(3, 2)})


def test_clear_leaves_what_is_not_a_checkpoint(tmp_path):
    store = store_in(tmp_path)
    store.save_best(1, TENSORS)
    save(store, 1, 1, [(1, 0.0)])
    (tmp_path / "result").mkdir()
    store.clear()
    assert names(tmp_path) == ["result"]
    store_in(tmp_path / "never made").clear()
