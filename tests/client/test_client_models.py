"""Trained models come home by both clients and by the command, whole and verified, and score as the server does."""

import hashlib
import io
import json
import tarfile

import pytest
from client_rig import asking, rig
from kept_models import add_model
from typer.testing import CliRunner

from modwright.artifact import read_artifact
from modwright.cli.app import load_commands
from modwright.data.dataset import store_dataset
from modwright.errors import IntegrityError, ModelNotFoundError, UsageError
from modwright.testing import tiny_dataset

ID = "ft:classifier:fast:default:20260102:1a2b3c4d"
TEXTS = ["my garden is green", "you silly goose"]


@pytest.fixture(scope="module")
def server(tmp_path_factory, checker, tiny_artifacts):
    with rig(tmp_path_factory.mktemp("rig"), checker) as made:
        add_model(made.factory, tiny_artifacts[0], ID)
        yield made


@pytest.fixture(params=["sync", "async"])
def client(request, server):
    with asking(request.param, server.url, "") as made:
        yield made


def run(*words):
    result = CliRunner().invoke(load_commands(), [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_model_comes_home_and_is_the_one_that_was_trained(client, tiny_artifacts, tmp_path):
    told = []
    progress = lambda done, total: told.append((done, total))  # noqa: E731
    folder = client.models.download(ID, tmp_path / "home" / "model", progress=progress)
    assert folder == tmp_path / "home" / "model"
    assert read_artifact(folder) == read_artifact(tiny_artifacts[0])
    assert told[-1][0] == told[-1][1] > 10_000
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert client.models.get(ID).root_version == read_artifact(folder).id[:12]
    with pytest.raises(UsageError, match="exists already"):
        client.models.download(ID, folder)
    (folder / "README.md").write_text("changed")
    client.models.download(ID, folder, replace=True)
    assert read_artifact(folder).id == read_artifact(tiny_artifacts[0]).id
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        client.models.download(ID, tmp_path / "other", replace=True)
    with pytest.raises(ModelNotFoundError):
        client.models.download("ft:none", tmp_path / "none")
    with pytest.raises(UsageError, match="no trained model"):
        client.models.download("fast", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_by_the_command_it_evaluates_and_predicts_the_same(server, tiny_artifacts, tmp_path, monkeypatch):
    monkeypatch.setenv("MODWRIGHT_URL", server.url)
    there = tmp_path / "there"
    assert run("models", "download", ID, "--out", there) == f"{there}\n"
    assert "root version" in run("models", "show", ID)
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    store_dataset(tiny_dataset(), tmp_path / "data")
    for name, folder in (("trained", tiny_artifacts[0]), ("fetched", there)):
        run("predict", folder, "--input", source, "--output", tmp_path / f"{name}.jsonl")
        run("evaluate", folder, tmp_path / "data", "--out", tmp_path / name, "--resamples", "0")
    assert (tmp_path / "trained.jsonl").read_text() == (tmp_path / "fetched.jsonl").read_text()
    of_both = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("trained", "fetched")]
    assert of_both[0]["splits"] == of_both[1]["splits"]
    with asking("sync", server.url, "") as client:
        answered = client.classify(TEXTS, model=ID)
    for line, found in zip(
        (tmp_path / "fetched.jsonl").read_text().splitlines(), answered.results, strict=True
    ):
        for target, scores in json.loads(line)["scores"].items():
            assert dict(found[target].scores) == pytest.approx(scores, abs=1e-6)


def packed(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            else:
                member.size = len(content)
            tar.addfile(member, None if content is None else io.BytesIO(content))
    return stream.getvalue()


HEAD = b"head"
FILES = {"model/head": hashlib.sha256(HEAD).hexdigest()}


def manifest(files=FILES, version="000000000000"):
    return "artifact.json", json.dumps({"id": version + "f" * 52, "files": files}).encode()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([("../outside", b"x"), manifest()], "no plain file inside"),
        ([("/outside", b"x"), manifest()], "no plain file inside"),
        ([("model/../../outside", b"x"), manifest()], "no plain file inside"),
        ([("model", None), ("model/head", HEAD), manifest()], "no plain file inside"),
        ([("model/head", HEAD), ("model/head", HEAD), manifest()], "twice"),
        ([("model", HEAD), ("model/head", HEAD), manifest()], "twice"),
        ([("model/head", b"tampered"), manifest()], "does not verify: sha256 is"),
        ([manifest()], "does not verify: file is missing"),
        ([("model/head", HEAD), manifest(version="1" * 12)], "of another model"),
        ([("model/head", HEAD), ("artifact.json", b"{}")], "names no files"),
        ([("model/head", HEAD)], "file is missing"),
        (None, "no whole tar file"),
    ],
)
def test_what_is_not_what_was_trained_leaves_nothing(server, tmp_path, monkeypatch, members, told):
    sent = b"nothing of the kind" * 100 if members is None else packed(members)
    monkeypatch.setattr("modwright.api.routes.artifacts.archived", lambda *_: iter([sent]))
    monkeypatch.setattr("modwright.api.routes.artifacts.archive_bytes", lambda _: len(sent))
    version = "000000000000"
    monkeypatch.setattr("modwright.api.routes.models.trained_card", zeroed(version))
    with (
        asking("sync", server.url, "") as client,
        pytest.raises(IntegrityError, match=told) as caught,
    ):
        client.models.download(ID, tmp_path / "in" / "there")
    assert caught.value.remedy == "fetch it again"
    assert not list(tmp_path.rglob("*outside*"))
    assert not list((tmp_path / "in").iterdir())


def zeroed(version):
    from modwright.api.schemas.models import trained_card

    return lambda *given: {**trained_card(*given), "root_version": version}
