"""A run ends in a whole artifact that names no machine, the same every time, or in nothing at all."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from modwright.artifact import read_artifact
from modwright.data.dataset import make_dataset, write_dataset
from modwright.errors import DataError, RecipeError, UsageError
from modwright.pipeline import train as pipeline
from modwright.pipeline.deciding import decide_artifact
from modwright.pipeline.train import train
from modwright.recipe import load_recipe
from modwright.settings import Settings
from modwright.testing import TINY_SCHEMA, make_tiny_base, tiny_dataset, tiny_recipe
from modwright.training.events import Chosen, Stage, Step
from modwright.training.fitted import OUT_OF_FOLD

LEFTOVER = re.compile(r"\.(partial|old|lock)$")


def ignore(event):
    pass


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def leftovers(*folders):
    return [path for folder in folders for path in folder.rglob("*") if LEFTOVER.search(path.name)]


def test_the_artifact_is_complete(trained, dataset):
    files = {
        path.relative_to(trained.folder).as_posix() for path in trained.folder.rglob("*") if path.is_file()
    }
    assert files == {
        "README.md",
        "artifact.json",
        "calibration.json",
        "metrics.json",
        "model/frozen.json",
        "model/heads.safetensors",
        "model/normalise.json",
        "recipe.toml",
        "serving/tiny/encoder.onnx",
        "thresholds.json",
        "tokenizer/tiny/tokenizer.json",
    }
    artifact = read_artifact(trained.folder)
    assert artifact == trained.artifact
    assert set(artifact.files) == files - {"artifact.json"}
    assert artifact.schema == TINY_SCHEMA
    assert artifact.dataset_id == dataset.id
    assert set(trained.evaluations) == {OUT_OF_FOLD, "validation", "test"}
    assert not trained.unchanged


def test_it_learnt_something(trained):
    found = trained.evaluations["test"].targets["moderation"].labels["insult"].metrics["roc_auc"].value
    assert found > 0.75


def test_the_run_is_told(trained, events):
    stages = [event.name for event in events if isinstance(event, Stage)]
    assert stages[0].startswith("base ")
    assert stages[-1] == "reload in a fresh process"
    assert {event.target for event in events if isinstance(event, Chosen)} == {"moderation", "tone"}
    assert any(isinstance(event, Step) for event in events)


def test_nothing_is_left_beside_it(trained):
    root = trained.folder.parent.parent
    assert sorted(path.name for path in trained.folder.parent.iterdir()) == ["model", "model-run"]
    assert leftovers(root) == []


def test_no_file_names_the_machine_or_the_time(trained, tiny_base_folder):
    paths = (trained.folder.parent.parent, tiny_base_folder.parent, Path.home(), Path.cwd())
    for name, content in contents(trained.folder).items():
        for path in paths:
            assert str(path).encode() not in content, name
        assert time.strftime("%Y-%m-%d").encode() not in content, name
    assert load_recipe(str(trained.folder / "recipe.toml")).bases[0].name == "tiny"


def test_other_folder_and_home_same_bytes(trained, new_home, recipe, dataset, tmp_path):
    settings = new_home(tmp_path / "home")
    moved = Path(shutil.copytree(recipe.bases[0].name, tmp_path / "elsewhere" / "tiny"))
    cold = train(recipe, dataset, tmp_path / "cold" / "model", settings, on_event=ignore)
    warm = train(tiny_recipe(moved), tiny_dataset(), tmp_path / "warm" / "model", settings, on_event=ignore)
    without = tiny_recipe(moved, "embedding.cache=false")
    uncached = train(without, dataset, tmp_path / "uncached", settings, on_event=ignore)
    assert cold.artifact.id == warm.artifact.id == uncached.artifact.id == trained.artifact.id
    assert contents(cold.folder) == contents(warm.folder) == contents(trained.folder)


def test_another_seed_or_label_is_another_model(
    trained, dataset, new_home, tiny_base_folder, recipe, tmp_path
):
    settings = new_home(tmp_path / "home")
    other_seed = train(
        tiny_recipe(tiny_base_folder, "seed=7"), dataset, tmp_path / "a", settings, on_event=ignore
    )
    frame = dataset.splits["train"]
    column = frame["moderation/insult"].to_list()
    column[0] = 1.0 - column[0]
    flipped = frame.with_columns(frame["moderation/insult"].__class__("moderation/insult", column))
    changed = make_dataset(dataset.schema, {**dataset.splits, "train": flipped}, dataset.provenance)
    other_label = train(recipe, changed, tmp_path / "b", settings, on_event=ignore)
    assert len({trained.artifact.id, other_seed.artifact.id, other_label.artifact.id}) == 3


@pytest.fixture
def own(trained, tmp_path, new_home):
    """A copy of the run with a home of its own, to train over."""
    folder = tmp_path / "out" / "model"
    shutil.copytree(trained.folder, folder)
    return folder, new_home(tmp_path / "home")


def test_the_same_again_is_unchanged(own, recipe, dataset):
    folder, settings = own
    before = folder.stat().st_ino, contents(folder)
    again = train(recipe, dataset, folder, settings, on_event=pytest.fail)
    assert again.unchanged
    assert again.evaluations == {}
    assert (folder.stat().st_ino, contents(folder)) == before
    assert train(recipe, dataset, folder, settings, on_event=pytest.fail, replace=True).unchanged


def test_decisions_made_anew_are_not_the_trainings_own(own, recipe, dataset, trained, tmp_path, new_home):
    """The recipe and the dataset are the same, and yet it answers otherwise than what a training would write."""
    folder, settings = own
    frames = {"calibration": tiny_dataset(60, seed=5).splits["train"]}
    rows = make_dataset(TINY_SCHEMA, frames, {"sources": [], "steps": []})
    decide_artifact(trained.folder, rows, folder, settings, on_event=ignore, replace=True)
    assert read_artifact(folder).recipe_hash == trained.artifact.recipe_hash
    with pytest.raises(UsageError, match="--replace"):
        train(recipe, dataset, folder, settings, on_event=ignore)
    again = train(recipe, dataset, folder, settings, on_event=ignore, replace=True)
    assert not again.unchanged
    assert again.artifact.id == trained.artifact.id


def test_a_prevalence_of_no_label_is_noticed_before_any_work(dataset, tiny_base_folder, new_home, tmp_path):
    asked = tiny_recipe(tiny_base_folder, "deployment.prevalence.insolt=0.1")
    with pytest.raises(RecipeError, match="no label is called 'insolt'"):
        train(asked, dataset, tmp_path / "model", new_home(tmp_path / "home"), on_event=pytest.fail)
    assert not (tmp_path / "model").exists()


def test_another_recipe_needs_replace(own, dataset, trained, tiny_base_folder, tmp_path):
    folder, settings = own
    before = contents(folder)
    other = tiny_recipe(tiny_base_folder, "seed=7")
    with pytest.raises(UsageError, match="--replace") as caught:
        train(other, dataset, folder, settings, on_event=pytest.fail)
    assert caught.value.where == str(folder)
    assert contents(folder) == before
    swapped = train(other, dataset, folder, settings, on_event=ignore, replace=True)
    assert swapped.artifact == read_artifact(folder)
    assert swapped.artifact.id != trained.artifact.id
    assert "seed = 7" in (folder / "recipe.toml").read_text()
    assert leftovers(tmp_path) == []


def test_another_base_under_the_same_name_is_noticed(own, dataset, tmp_path):
    folder, settings = own
    other = make_tiny_base(tmp_path / "bases" / "tiny", seed=1)
    with pytest.raises(UsageError, match="--replace"):
        train(tiny_recipe(other), dataset, folder, settings, on_event=pytest.fail)


def test_a_damaged_artifact_is_not_unchanged(own, recipe, dataset, trained):
    folder, settings = own
    (folder / "calibration.json").write_text("{}")
    with pytest.raises(UsageError, match="--replace"):
        train(recipe, dataset, folder, settings, on_event=pytest.fail)
    mended = train(recipe, dataset, folder, settings, on_event=ignore, replace=True)
    assert mended.artifact.id == trained.artifact.id


def test_what_a_kill_left_beside_a_finished_artifact_is_cleared(own, recipe, dataset, trained, tmp_path):
    folder, settings = own
    (folder.parent / ".model.lock").touch()
    (folder.parent / ".model.partial").mkdir()
    assert train(recipe, dataset, folder, settings, on_event=ignore).artifact.id == trained.artifact.id
    assert leftovers(tmp_path) == []


def test_a_file_or_a_stranger_is_not_overwritten(new_home, recipe, dataset, tmp_path):
    settings = new_home(tmp_path / "home")
    (tmp_path / "file").write_text("mine")
    for replace in (False, True):
        with pytest.raises(UsageError, match="file"):
            train(recipe, dataset, tmp_path / "file", settings, on_event=pytest.fail, replace=replace)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        train(recipe, dataset, tmp_path / "mine", settings, on_event=pytest.fail)
    assert (tmp_path / "mine" / "notes").read_text() == "mine"


@pytest.mark.parametrize("out", [".", "..", "../here"])
def test_the_folder_it_runs_in_is_refused_before_any_work(recipe, dataset, tmp_path, monkeypatch, out):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match="the folder this runs in"):
        train(recipe, dataset, Path(out), Settings(home=tmp_path / "home"), on_event=pytest.fail)
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_a_link_stays_a_link(new_home, recipe, dataset, tmp_path, trained):
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "disk")
    result = train(recipe, dataset, tmp_path / "model", new_home(tmp_path / "home"), on_event=ignore)
    assert result.artifact.id == trained.artifact.id
    assert (tmp_path / "model").is_symlink()
    assert read_artifact(tmp_path / "model").id == trained.artifact.id
    assert leftovers(tmp_path) == []


def test_errors_leave_nothing(new_home, tiny_base_folder, dataset, recipe, tmp_path):
    settings = new_home(tmp_path / "home")
    deep = tiny_recipe(tiny_base_folder, f'bases=[{{name="{tiny_base_folder}", layers=[9]}}]')
    with pytest.raises(RecipeError, match=r"layer 9 of 'tiny'.*0 to 2"):
        train(deep, dataset, tmp_path / "out" / "m", settings, on_event=ignore)
    other = shutil.copytree(tiny_base_folder, tmp_path / "other" / "tiny")
    both = tiny_recipe(
        tiny_base_folder, f'bases=[{{name="{tiny_base_folder}", layers=[1]}}, {{name="{other}", layers=[1]}}]'
    )
    with pytest.raises(RecipeError, match="two bases are called 'tiny'"):
        train(both, dataset, tmp_path / "out" / "m", settings, on_event=ignore)
    splits = {"a": dataset.splits["train"], "b": dataset.splits["test"]}
    with pytest.raises(DataError, match="none is called 'train'"):
        train(
            recipe,
            make_dataset(dataset.schema, splits, {}),
            tmp_path / "out" / "m",
            settings,
            on_event=ignore,
        )
    assert not (tmp_path / "out").exists()
    assert leftovers(tmp_path) == []


def test_an_interruption_leaves_no_artifact(new_home, recipe, dataset, tmp_path, monkeypatch):
    settings = new_home(tmp_path / "home")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "verify_reload", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, dataset, tmp_path / "out" / "model", settings, on_event=ignore)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model-run"], "what it would go on from"
    assert leftovers(tmp_path) == []


def test_one_split_of_any_name_is_trained_on(new_home, recipe, dataset, tmp_path):
    alone = make_dataset(dataset.schema, {"everything": dataset.splits["train"]}, {})
    result = train(recipe, alone, tmp_path / "model", new_home(tmp_path / "home"), on_event=ignore)
    assert list(result.evaluations) == [OUT_OF_FOLD]


COMMAND = "import sys; from modwright.cli.app import main; sys.argv = ['modwright', *sys.argv[1:]]; main()"
#: Runs the command with one function replaced by its own end, at a point that time alone would seldom meet.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from modwright import files
from modwright.models import embedding_cache
from modwright.pipeline import train, writing

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

point = sys.argv[1]
if point == "embeddings half written":
    embedding_cache.save_file = lambda tensors, path: (Path(path).write_bytes(b"half"), die())
elif point == "artifact half written":
    writing.write_manifest = die
elif point == "before the reload":
    train.verify_reload = die
elif point == "before the rename":
    files._swap_in = die
elif point == "the old one moved away":  # where a system cannot exchange two names in one step
    files._exchanged = lambda one, other: False
    rename = Path.rename
    Path.rename = lambda self, to: (rename(self, to), die() if str(to).endswith(".old") else None)[0]
elif point == "before the old one is removed":
    rmtree = files.shutil.rmtree
    files.shutil.rmtree = lambda path, *a, **k: die() if str(path).endswith((".old", ".partial")) else rmtree(path, *a, **k)
elif point == "before the lock is let go":
    unlink = Path.unlink
    Path.unlink = lambda self, **k: die() if self.name == ".model.lock" else unlink(self, **k)
else:
    raise SystemExit(f"no such point: {point}")
from modwright.cli.app import main
sys.argv = ["modwright", *sys.argv[2:]]
main()
"""


@pytest.fixture
def command(new_home, tiny_base_folder, dataset, tmp_path):
    """The arguments of `modwright train`, and the environment they run in."""
    new_home(tmp_path / "home")
    (tmp_path / "recipe.toml").write_text(tiny_recipe(tiny_base_folder).to_toml())
    write_dataset(dataset, tmp_path / "data")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MODWRIGHT_")}
    environment = kept | {"MODWRIGHT_HOME": str(tmp_path / "home"), "MODWRIGHT_THREADS": "1"}
    out = tmp_path / "out" / "model"
    arguments = ["train", tmp_path / "recipe.toml", "--data", tmp_path / "data", "--out", out]
    return [str(argument) for argument in arguments], environment, out


def run(script, arguments, environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("seconds", [0.5, 2.0, 4.0, 6.0])
def test_killed_at_any_time_then_run_again(command, trained, seconds, tmp_path):
    arguments, environment, out = command
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if out.exists():
        assert read_artifact(out).id == trained.artifact.id, "what is there is whole"
    again = run(COMMAND, arguments, environment)
    assert again.returncode == 0, again.stderr
    assert read_artifact(out).id == trained.artifact.id
    assert leftovers(out.parent, tmp_path / "home") == []


@pytest.mark.parametrize(
    ("point", "there"),
    [
        ("embeddings half written", False),
        ("artifact half written", False),
        ("before the reload", False),
        ("before the rename", False),
        ("before the lock is let go", True),
    ],
)
def test_killed_at_a_point_then_run_again(command, trained, point, there, tmp_path):
    arguments, environment, out = command
    killed = run(KILLED_AT, [point, *arguments], environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert out.exists() == there
    again = run(COMMAND, arguments, environment)
    assert again.returncode == 0, again.stderr
    assert contents(out) == contents(trained.folder)
    assert leftovers(out.parent, tmp_path / "home") == []


@pytest.mark.parametrize("point", ["the old one moved away", "before the old one is removed"])
def test_killed_while_replacing_then_run_again(command, trained, point, tmp_path):
    arguments, environment, out = command
    shutil.copytree(trained.folder, out)
    other = [*arguments, "seed=7", "--replace"]
    killed = run(KILLED_AT, [point, *other], environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run(COMMAND, other, environment)
    assert again.returncode == 0, again.stderr
    assert read_artifact(out).id != trained.artifact.id
    assert "seed = 7" in (out / "recipe.toml").read_text()
    assert leftovers(out.parent, tmp_path / "home") == []
