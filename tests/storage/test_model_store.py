"""Models of projects: inserted with their content named, found by id or alias, deleted with what only they name."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select

from modwright.errors import ConflictError, IntegrityError, ModelNotFoundError, NotFoundError, UsageError
from modwright.storage.artifacts import install, publish
from modwright.storage.models import ModelStore, NewModel
from modwright.storage.tables import DEFAULT_PROJECT, blob_reservations, projects

PROJECT = DEFAULT_PROJECT
TARGETS = [{"name": "moderation", "labels": ["toxicity", "safe"]}]


@pytest.fixture
def models(database, blobs):
    with database.write() as connection:
        connection.execute(insert(projects).values(id="other", name="other", created_at=0.0))
    return ModelStore(database, blobs)


@pytest.fixture
def artifact(tmp_path):
    """A folder that looks like an artifact; two of its files are the same."""
    folder = tmp_path / "artifact"
    (folder / "serving").mkdir(parents=True)
    for name, content in {
        "artifact.json": "{}",
        "serving/a.onnx": "graph",
        "serving/b.onnx": "graph",
    }.items():
        (folder / name).write_text(content)
    return folder


def make(database, blobs, models, folder, name="ft:1", project=PROJECT, **changes):
    manifest = publish(folder, blobs)
    new = NewModel(name, project, "balanced", "0a1b", manifest, TARGETS, **changes)
    with database.write() as connection:
        return models.insert(connection, new)


@pytest.fixture
def model(database, blobs, models, artifact):
    return make(database, blobs, models, artifact)


def test_a_model_is_there_as_it_was_inserted_and_its_folder_can_be_made_again(
    models, model, blobs, artifact, tmp_path
):
    assert models.get(PROJECT, "ft:1") == model
    assert (model.root, model.archived, model.targets, model.job_id) == ("balanced", False, TARGETS, None)
    install(model.manifest, blobs, tmp_path / "again")
    assert (tmp_path / "again" / "serving" / "b.onnx").read_text() == "graph"


def test_inserting_uses_up_every_reservation(database, model):
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(blob_reservations)).scalar_one() == 0


def test_an_insert_that_is_undone_leaves_no_model(database, blobs, models, artifact):
    manifest = publish(artifact, blobs)

    def fail_after_it():
        with database.write() as connection:
            models.insert(connection, NewModel("m", PROJECT, "r", "a", manifest, []))
            raise TimeoutError

    with pytest.raises(TimeoutError):
        fail_after_it()
    assert models.list(PROJECT) == []
    assert all(blobs.exists(entry["sha256"]) for entry in manifest.values())


def test_an_id_is_taken_once(database, blobs, models, model, artifact):
    with pytest.raises(ConflictError):
        make(database, blobs, models, artifact)


def test_content_that_was_never_put_makes_no_model(database, models):
    new = NewModel("m", PROJECT, "r", "a", {"a": {"bytes": 1, "sha256": "0" * 64}}, [])
    with pytest.raises(IntegrityError, match="no content"), database.write() as connection:
        models.insert(connection, new)


def test_deleting_takes_content_that_no_other_model_names(database, blobs, models, model, artifact):
    (artifact / "artifact.json").write_text('{"another": 1}')
    other = make(database, blobs, models, artifact, "ft:2")
    models.delete(PROJECT, model.id)
    assert not blobs.exists(model.manifest["artifact.json"]["sha256"])
    assert blobs.exists(model.manifest["serving/a.onnx"]["sha256"])
    models.delete(PROJECT, other.id)
    assert not blobs.exists(model.manifest["serving/a.onnx"]["sha256"])
    assert models.list(PROJECT) == []
    for act in (models.get, models.delete, models.resolve):
        with pytest.raises(ModelNotFoundError):
            act(PROJECT, model.id)
    with pytest.raises(ConflictError):  # its id is not given to another
        make(database, blobs, models, artifact)


def test_another_projects_model_does_not_exist(models, model):
    for act in (
        lambda: models.get("other", model.id),
        lambda: models.resolve("other", model.id),
        lambda: models.update("other", model.id, name="mine"),
        lambda: models.set_archived("other", model.id, True),
        lambda: models.delete("other", model.id),
        lambda: models.set_alias("other", "mine", model.id),
    ):
        with pytest.raises(ModelNotFoundError):
            act()
    assert models.list("other") == []
    assert models.aliases("other") == {}


def test_name_description_and_rest_are_changed_alone(models, model):
    changed = models.update(PROJECT, model.id, name="comments", description="of the forum")
    assert (changed.name, changed.description) == ("comments", "of the forum")
    assert models.update(PROJECT, model.id, description=None).name == "comments"
    assert models.get(PROJECT, model.id).description is None
    assert models.set_archived(PROJECT, model.id, True).archived
    assert not models.set_archived(PROJECT, model.id, False).archived
    with pytest.raises(UsageError):
        models.update(PROJECT, model.id, name="a\0b")
    with pytest.raises(TypeError):
        models.update(PROJECT, model.id, root="other")


def test_newest_first(database, blobs, models, artifact):
    ids = [make(database, blobs, models, artifact, f"ft:{number}").id for number in range(3)]
    assert {row.id for row in models.list(PROJECT)} == set(ids)
    times = [row.created_at for row in models.list(PROJECT)]
    assert times == sorted(times, reverse=True)


def test_an_alias_means_one_model_at_a_time(database, blobs, models, model, artifact):
    other = make(database, blobs, models, artifact, "ft:2")
    models.set_alias(PROJECT, "live", model.id)
    assert models.resolve(PROJECT, "live").id == models.resolve(PROJECT, model.id).id == model.id
    models.set_alias(PROJECT, "live", other.id)
    assert models.aliases(PROJECT) == {"live": other.id}
    assert models.resolve(PROJECT, "live").id == other.id
    with pytest.raises(ConflictError):
        models.set_alias(PROJECT, model.id, other.id)
    with pytest.raises(ModelNotFoundError):
        models.get(PROJECT, "live")
    models.drop_alias(PROJECT, "live")
    with pytest.raises(NotFoundError):
        models.drop_alias(PROJECT, "live")


def test_aliases_go_with_their_model_and_belong_to_a_project(database, blobs, models, model, artifact):
    theirs = make(database, blobs, models, artifact, "ft:theirs", project="other")
    models.set_alias(PROJECT, "live", model.id)
    models.set_alias("other", "live", theirs.id)
    models.delete(PROJECT, model.id)
    assert models.aliases(PROJECT) == {}
    assert models.resolve("other", "live").id == theirs.id
