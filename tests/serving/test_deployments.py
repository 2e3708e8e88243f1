import asyncio

import pytest
from serving_fakes import FailingClassifier, FakeClassifier, deployments, engine, settings

from modwright.errors import (
    ModelNotFoundError,
    NotFoundError,
    RequestError,
    ScoringError,
    SettingsError,
    UnavailableError,
    UsageError,
)
from modwright.schema import text_input
from modwright.serving import deployments as module
from modwright.serving.deployments import Deployment, Deployments
from modwright.serving.engine import Engine


def ask(served, *texts, **more):
    async def work():
        return await next(iter(served)).judge([text_input(text) for text in texts], **more)

    served.start()
    try:
        return asyncio.run(work())
    finally:
        served.stop()


def test_names_and_aliases_answer_and_an_unknown_one_names_the_nearest():
    served = deployments(FakeClassifier(), FakeClassifier())
    goose = served.get("goose")
    assert served.get(goose.engine.id) is goose
    assert served.get(goose.engine.id[:12]) is goose
    assert [item.name for item in served] == ["goose", "duck"]
    with pytest.raises(ModelNotFoundError, match="unknown model 'gose'") as caught:
        served.get("gose")
    assert caught.value.remedy == "did you mean 'goose'?"
    with pytest.raises(ModelNotFoundError, match="no model is served"):
        Deployments([], settings()).get("goose")


def test_what_collides_is_refused():
    made = settings()
    with pytest.raises(UsageError, match="both answer to 'a'"):
        Deployments(
            [Deployment("a", engine(id="1" * 64), made), Deployment("a", engine(id="2" * 64), made)], made
        )
    with pytest.raises(UsageError, match="'a' and 'b' both answer to '111111111111'"):
        Deployments(
            [Deployment("a", engine(id="1" * 64), made), Deployment("b", engine(id="1" * 64), made)], made
        )
    with pytest.raises(UsageError, match="both answer"):
        Deployments(
            [Deployment("a", engine(id="1" * 64), made), Deployment("1" * 12, engine(id="2" * 64), made)],
            made,
        )


@pytest.mark.parametrize("name", ["", " a", "a\nb", "/a", "a/", "a" * 201])
def test_a_name_must_be_plain(name):
    with pytest.raises(UsageError, match="model name"):
        Deployment(name, engine(), settings())


def test_the_default_is_the_configured_one_else_the_only_one():
    assert deployments().default().name == "goose"
    assert deployments(FakeClassifier(), FakeClassifier(), default_model="duck").default().name == "duck"
    with pytest.raises(RequestError, match="names no model") as caught:
        deployments(FakeClassifier(), FakeClassifier()).default()
    assert caught.value.remedy == "name one of: goose, duck"
    with pytest.raises(RequestError, match="none is served"):
        Deployments([], settings()).default()
    with pytest.raises(SettingsError, match="MODWRIGHT_DEFAULT_MODEL is 'swan'"):
        deployments(default_model="swan")


def test_specs_name_folders(tmp_path, monkeypatch):
    class Loaded(Engine):
        @classmethod
        def load(cls, folder, *, artifact=None, threads=0):
            return engine(id=folder.resolve().name.encode().hex().ljust(64, "0"))

    monkeypatch.setattr(module, "Engine", Loaded)
    for name in ("a", "b", "c=d"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "artifact.json").write_text('{"bases": [{"name": "m"}, {"name": "n"}]}')
    served = Deployments.load([f"{tmp_path}/a", f"other/name={tmp_path}/b", f"{tmp_path}/c=d"], settings())
    assert [item.name for item in served] == ["a", "other/name", "c=d"]
    assert served.get("a").root == "m+n"
    monkeypatch.chdir(tmp_path / "a")
    assert [item.name for item in Deployments.load(["."], settings())] == ["a"]
    with pytest.raises(UsageError, match="two models are named 'a'"):
        Deployments.load([f"{tmp_path}/a", f"a={tmp_path}/b"], settings())
    with pytest.raises(UsageError, match="model name ''"):
        Deployments.load(["=x"], settings())


def test_a_folder_that_is_no_artifact_is_told(tmp_path):
    with pytest.raises(NotFoundError, match=r"artifact\.json is missing"):
        Deployments.load([str(tmp_path)], settings())


def test_an_unknown_operating_point_names_the_nearest():
    with pytest.raises(RequestError, match="no operating point 'strikt'") as caught:
        ask(deployments(), "a", operating_point="strikt")
    assert caught.value.where == "operating_point"
    assert caught.value.remedy == "did you mean 'strict'?"


def test_operating_points_decide_flags_in_one_batch():
    text = "a goose and some other words"
    assert ask(deployments(), text)[0].targets["moderation"].flags == ()
    assert ask(deployments(), text, operating_point="strict")[0].targets["moderation"].flags == ("insult",)


@pytest.mark.parametrize("text", ["nan", "above one", "too few", "too many", "no target", "not scores"])
def test_a_model_that_answers_nonsense_is_an_error_never_a_number(text):
    with pytest.raises(ScoringError, match="model 'goose' failed on this input"):
        ask(deployments(FailingClassifier()), text)
    with pytest.raises(ScoringError, match="failed on input 1 of 3"):
        ask(deployments(FailingClassifier()), "fine", text, "fine too")


def test_calibration_that_gives_nan_is_an_error():
    served = deployments()
    calibration = type("Broken", (), {"apply": lambda self, scores: scores * float("nan")})()
    next(iter(served)).engine._calibration["moderation"] = calibration
    with pytest.raises(ScoringError, match=r"outside 0\.\.1"):
        ask(served, "a")


def test_checks_share_one_run_and_tell_the_truth():
    classifier = FailingClassifier()
    served = deployments(classifier, request_timeout_s=0.3)

    async def work():
        await asyncio.gather(*(served.check() for _ in range(20)))
        assert sum(map(len, classifier.batches)) == 1
        hung = asyncio.create_task(served.get("goose").judge([text_input("hang")]))
        await asyncio.sleep(0.05)
        with pytest.raises(UnavailableError):
            await served.check()
        with pytest.raises(UnavailableError):
            await hung
        classifier.release.set()
        await served.check()

    served.start()
    asyncio.run(work())
    served.stop()
    with pytest.raises(UnavailableError, match="not running"):
        asyncio.run(served.check())
