import asyncio
import json
import shutil
import threading

import pytest
from kept_models import add_model, blob_paths, kept

from modwright.errors import ArtifactError, ConflictError, IntegrityError, ModelNotFoundError, StorageError
from modwright.pipeline.predict import predict
from modwright.schema import text_input
from modwright.serving.engine import Engine
from modwright.serving.trained import TrainedModels
from modwright.storage.artifacts import install, publish

TEXTS = ["my garden is green", "you silly goose", "the river near the house again", ""]


@pytest.fixture
def place(tmp_path):
    return kept(tmp_path / "home")


@pytest.fixture
def model(place, tiny_artifacts):
    return add_model(place, tiny_artifacts[0], "ft:classifier:fast:default:20260102:1a2b3c4d")


def use(place, work):
    """Run `work(trained)` on an event loop, with what a server would make at its start."""

    async def whole():
        trained = TrainedModels(place.models, place.blobs, place.settings)
        try:
            return await work(trained)
        finally:
            await trained.loaded.close()

    return asyncio.run(whole())


def scores(place, name, texts=TEXTS, project="default"):
    """Return what a model says of texts, as JSON would hold it."""

    async def work(trained):
        async with trained.lease(project, name) as deployment:
            judgements = await deployment.judge([text_input(text) for text in texts])
        return [{name: answer.scores for name, answer in item.targets.items()} for item in judgements]

    return use(place, work)


def predicted(folder, tmp_path, texts=TEXTS):
    """Return what `modwright predict` says of texts."""
    source, output = tmp_path / "texts.jsonl", tmp_path / "scores.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    predict(Engine.load(folder, threads=1), source, output)
    return [json.loads(line)["scores"] for line in output.read_text().splitlines()]


def served_folders(place):
    """Return everything that lies where models are served from, whole or half."""
    folder = place.settings.home / "served"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def close(found, expected):
    """Say whether two lists of scores agree to 1e-6."""
    return all(
        one[target] == pytest.approx(other[target], abs=1e-6)
        for one, other in zip(found, expected, strict=True)
        for target in other
    )


def test_a_trained_model_scores_as_predict_does(place, model, tiny_artifacts, tmp_path):
    expected = predicted(tiny_artifacts[0], tmp_path)
    assert close(scores(place, model.id), expected)
    assert not close(expected, predicted(tiny_artifacts[1], tmp_path))


def test_what_is_published_is_what_is_installed(place, tiny_artifacts, tmp_path):
    manifest = publish(tiny_artifacts[0], place.blobs)
    assert manifest == publish(tiny_artifacts[0], place.blobs)
    install(manifest, place.blobs, tmp_path / "again")
    for name, entry in manifest.items():
        content = (tmp_path / "again" / name).read_bytes()
        assert content == (tiny_artifacts[0] / name).read_bytes()
        assert len(content) == entry["bytes"]
    files = [path for path in (tmp_path / "again").rglob("*") if path.is_file()]
    assert len(files) == len(manifest)


def test_two_models_of_one_base_share_its_graph(place, tiny_artifacts):
    first, second = (publish(folder, place.blobs) for folder in tiny_artifacts)
    graph = next(name for name in first if name.endswith(".onnx"))
    assert first[graph] == second[graph]
    contents = {entry["sha256"] for manifest in (first, second) for entry in manifest.values()}
    assert len(blob_paths(place)) == len(contents) < len(first) + len(second)


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../b", "a//b", ".", "", "a\\b", "./a"])
def test_a_manifest_leads_nowhere_else(place, tiny_artifacts, tmp_path, name):
    entry = publish(tiny_artifacts[0], place.blobs)["artifact.json"]
    with pytest.raises(IntegrityError, match="not inside a folder"):
        install({name: entry}, place.blobs, tmp_path / "deep" / "model")
    assert list(tmp_path.rglob("*.json")) == []


def test_a_damaged_blob_is_told_and_nothing_half_is_left(place, model, caplog):
    largest = max(blob_paths(place), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="not the ones that were trained") as caught:
        scores(place, model.id)
    assert str(place.settings.home) not in str(caught.value)
    assert "sha256" in caplog.text
    assert served_folders(place) == []
    largest.unlink()
    with pytest.raises(ArtifactError, match="not the ones that were trained"):
        scores(place, model.id)
    assert served_folders(place) == []
    largest.write_bytes(whole)
    assert scores(place, model.id)


def test_a_folder_that_was_damaged_here_is_made_again(place, model):
    expected = scores(place, model.id)
    (folder,) = served_folders(place)
    heads = place.settings.home / "served" / folder / "model" / "heads.safetensors"
    heads.write_bytes(b"other weights")
    assert scores(place, model.id) == expected
    assert served_folders(place) == [folder]


def test_a_folder_with_another_whole_model_in_it_is_not_believed(place, model, tiny_artifacts):
    expected = scores(place, model.id)
    (folder,) = served_folders(place)
    there = place.settings.home / "served" / folder
    shutil.rmtree(there)
    shutil.copytree(tiny_artifacts[1], there)
    assert scores(place, model.id) == expected


def test_what_is_installed_is_not_fetched_again(place, model):
    expected = scores(place, model.id)
    for path in blob_paths(place):
        path.unlink()
    assert scores(place, model.id) == expected


def test_servers_that_share_a_folder_install_a_model_once_each_other_waiting(place, model):
    expected = scores(place, model.id)
    shutil.rmtree(place.settings.home / "served")
    found = []
    threads = [threading.Thread(target=lambda: found.append(scores(place, model.id))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    assert len(served_folders(place)) == 1


def test_an_alias_that_moves_means_the_other_model_at_once(place, model, tiny_artifacts, tmp_path):
    other = add_model(place, tiny_artifacts[1], "second")
    place.models.set_alias("default", "main", model.id)

    async def work(trained):
        names = []
        for target in (model.id, other.id, model.id):
            place.models.set_alias("default", "main", target)
            async with trained.lease("default", "main") as deployment:
                names.append(deployment.name)
        return names

    assert use(place, work) == [model.id, other.id, model.id]
    assert close(scores(place, "main"), predicted(tiny_artifacts[0], tmp_path))


def test_an_archived_model_answers_nothing_until_it_is_unarchived(place, model):
    place.models.set_archived("default", model.id, True)
    with pytest.raises(ConflictError, match="is archived") as caught:
        scores(place, model.id)
    assert f"DELETE /v1/fine_tuning/models/{model.id}/archive" in caught.value.remedy
    place.models.set_archived("default", model.id, False)
    assert scores(place, model.id)


def test_a_model_of_another_project_is_not_there(place, model):
    with pytest.raises(ModelNotFoundError):
        scores(place, model.id, project="other")


def test_a_model_deleted_while_it_loads_is_not_there_and_leaves_no_files(place, model, monkeypatch):
    def read_then_delete(self, row):
        deployment = read(self, row)
        place.models.delete("default", row.id)
        return deployment

    read = TrainedModels._read
    monkeypatch.setattr(TrainedModels, "_read", read_then_delete)
    with pytest.raises(ModelNotFoundError, match="was deleted"):
        scores(place, model.id)
    assert served_folders(place) == []


def test_forgetting_a_model_removes_its_files_and_unloads_it(place, model):
    async def work(trained):
        async with trained.lease("default", model.id):
            assert len(trained.loaded) == 1
        await trained.forget(model.id)
        return len(trained.loaded)

    assert use(place, work) == 0
    assert served_folders(place) == []


def test_a_start_removes_the_files_of_models_that_are_gone(place, model, tiny_artifacts):
    gone, resting = (add_model(place, tiny_artifacts[1], name) for name in ("gone", "resting"))
    for row in (model, gone, resting):
        scores(place, row.id)
    place.models.delete("default", gone.id)
    place.models.set_archived("default", resting.id, True)
    assert len(served_folders(place)) == 3
    trained = TrainedModels(place.models, place.blobs, place.settings)
    trained.sweep()
    assert served_folders(place) == [trained.folder(model.id).name]


def test_a_store_that_is_away_is_told_as_that(place, model, monkeypatch):
    def away(*_):
        raise StorageError("the bucket failed")

    monkeypatch.setattr(place.blobs, "get_to", away)
    with pytest.raises(StorageError, match="the bucket failed"):
        scores(place, model.id)
    assert served_folders(place) == []


def test_operating_points_are_known_without_loading(place, model):
    points = use(place, lambda trained: trained.operating_points(model))
    assert "default" in points
    for path in blob_paths(place):
        path.unlink()
    assert use(place, lambda trained: trained.operating_points(model)) is None
