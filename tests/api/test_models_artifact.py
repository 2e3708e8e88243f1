"""A trained model's folder over HTTP: given as it was published, to its own project alone, and never half as a whole."""

import io
import subprocess
import tarfile
import tracemalloc

import httpx
import pytest
from factory_fakes import client, made_app, made_factory, new_key
from kept_models import add_model
from serving_fakes import deployments, served

from modwright.artifact import read_artifact
from modwright.storage.archives import archive_bytes, archived
from modwright.storage.artifacts import publish
from modwright.storage.models import NewModel

ID = "ft:classifier:fast:default:20260102:1a2b3c4d"
PATH = f"/v1/models/{ID}/artifact"


@pytest.fixture
def factory(tmp_path):
    return made_factory(tmp_path / "home", threads=1)


@pytest.fixture
def asked(factory, tiny_artifacts):
    configured, parts = factory
    add_model(parts, tiny_artifacts[0], ID)
    with client(made_app(configured, parts)) as asking:
        yield asking


def unpack(archive, folder):
    folder.mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", str(folder)], input=archive, check=True)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("prefix", ["", "/mistral", "/openai"])
def test_the_folder_comes_as_it_was_published_with_its_manifest_last(asked, tiny_artifacts, tmp_path, prefix):
    answer = asked.get(prefix + PATH)
    assert answer.headers["content-type"] == "application/x-tar"
    assert int(answer.headers["content-length"]) == len(answer.content)
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as packed:
        assert packed.getnames()[-1] == "artifact.json"
    unpack(answer.content, tmp_path / "out")
    assert files(tmp_path / "out") == files(tiny_artifacts[0])
    assert read_artifact(tmp_path / "out") == read_artifact(tiny_artifacts[0])


def test_an_alias_and_an_archived_model_are_given_a_deleted_one_is_not(asked):
    whole = asked.get(PATH).content
    asked.put(f"/v1/models/{ID}/aliases/main")
    asked.post(f"/v1/fine_tuning/models/{ID}/archive")
    assert asked.get("/v1/models/main/artifact").content == whole
    assert asked.get(PATH).content == whole
    asked.delete(f"/v1/models/{ID}")
    for name in (ID, "main", "none"):
        answer = asked.get(f"/v1/models/{name}/artifact")
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_what_was_not_trained_here_is_not_given(asked):
    assert asked.get("/v1/models/goose/artifact").json()["code"] == "forbidden"
    assert asked.get("/v1/models/fast/artifact").status_code == 404


def test_another_projects_model_does_not_exist(factory, tiny_artifacts):
    configured, parts = factory
    add_model(parts, tiny_artifacts[0], ID)
    other = parts.projects.create("other")
    _, mine = new_key(parts, ["read"])
    _, theirs = new_key(parts, ["read"], project=other.id)
    with client(made_app(configured, parts)) as asking:
        assert asking.get(PATH, headers=mine).status_code == 200
        refused, never = (
            asking.get(f"/v1/models/{name}/artifact", headers=theirs) for name in (ID, "ft:never")
        )
        assert refused.status_code == never.status_code == 404
        assert refused.json()["message"].replace(ID, "ft:never") == never.json()["message"]


def test_a_missing_file_is_told_before_and_a_damaged_one_breaks_the_stream_off(factory, tiny_artifacts):
    configured, parts = factory
    add_model(parts, tiny_artifacts[0], ID)
    paths = sorted((configured.home / "blobs").rglob("*"), key=lambda path: path.stat().st_size)
    largest = [path for path in paths if path.is_file()][-1]
    content = largest.read_bytes()
    with served(deployments(), parts) as url:
        largest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url + PATH)
        largest.unlink()
        answer = httpx.get(url + PATH)
        assert (answer.status_code, answer.json()["code"]) == (500, "integrity")
        assert str(configured.home) not in answer.text


def test_no_file_is_held_whole(factory, tmp_path):
    _, parts = factory
    folder = tmp_path / "large"
    deep = folder / "model" / ("a" * 120) / ("b" * 120)
    deep.mkdir(parents=True)
    (deep / "weights").write_bytes(bytes(24_000_000) + b"end")
    (folder / "artifact.json").write_text("{}")
    manifest = publish(folder, parts.blobs)
    with parts.database.write() as connection:
        parts.models.insert(connection, NewModel(ID, "default", "fast", "0" * 64, manifest, []))
    tracemalloc.start()
    size = sum(map(len, archived(manifest, parts.blobs, 1.5e9)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == archive_bytes(manifest) > 24_000_000
    assert peak < 8_000_000
    packed = b"".join(archived(manifest, parts.blobs, 1.5e9))
    unpack(packed, tmp_path / "again")
    assert files(tmp_path / "again") == files(folder)
