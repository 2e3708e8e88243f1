"""Decisions anew, without training: another id, the same model, and never the rows it is proven on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.artifact import read_artifact
from modwright.data.dataset import make_dataset
from modwright.errors import DataError, RecipeError, UsageError
from modwright.pipeline.deciding import decide_artifact, raw_scores
from modwright.pipeline.evaluate import evaluate
from modwright.pipeline.fitting import fit_rows
from modwright.pipeline.rows import rows_of
from modwright.pipeline.train import train
from modwright.recipe import load_kept_recipe
from modwright.schema import text_input
from modwright.serving.engine import Engine
from modwright.testing import TINY_SCHEMA, tiny_dataset, tiny_recipe, tiny_texts


@pytest.fixture(scope="module")
def others():
    """Rows that the model has not seen, in splits of names as they come."""
    made = tiny_dataset(90, seed=5, held_out=60)
    frames = {"calibration": made.splits["train"], "test": made.splits["test"]}
    return make_dataset(TINY_SCHEMA, frames, {"sources": [], "steps": []})


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def decided(trained, others, new_home, tmp_path_factory, told):
    root = tmp_path_factory.mktemp("decided")
    overrides = ["deployment.prevalence.insult=0.05", "operating_points.sure={aim='precision', value=1.0}"]
    settings = new_home(root / "home")
    return decide_artifact(
        trained.folder, others, root / "new", settings, overrides=overrides, on_event=told.append
    )


def test_the_model_is_the_same_and_the_id_is_not(trained, decided):
    before, after = read_artifact(trained.folder), read_artifact(decided.folder)
    assert after.id == decided.artifact.id != before.id == decided.before
    assert after.dataset_id == before.dataset_id
    changed = {name for name in before.files if before.files[name] != after.files[name]}
    assert changed == {"calibration.json", "thresholds.json", "metrics.json", "recipe.toml", "README.md"}
    assert set(before.files) == set(after.files)
    assert not set(after.files) & {"artifact.json"}


def test_it_answers_by_what_was_decided(trained, decided, others):
    old, new = (Engine.load(folder, threads=1) for folder in (trained.folder, decided.folder))
    inputs = [text_input(text) for text in tiny_texts(30, seed=3)]
    raw = raw_scores(old.classifier, inputs, lambda event: None)
    for name, values in decided.decisions.calibrated(raw).items():
        assert np.abs(new.calibrated(inputs).values[name] - values).max() < 1e-6
    assert set(new.operating_points) == {"default", "strict", "lenient", "sure"}
    assert new.operating_points == decided.decisions.points
    assert new.review == decided.decisions.review
    assert new.decided_on.split == "calibration"
    assert (new.decided_on.rows, new.decided_on.dataset_id) == (90, others.id)
    lower = new.calibrated(inputs).values["moderation"][:, 0].mean()
    assert lower < 0.7 * old.calibrated(inputs).values["moderation"][:, 0].mean()
    assert old.decided_on.split == "out_of_fold"


def test_what_is_told_is_told_anew(decided):
    recipe = load_kept_recipe(decided.folder / "recipe.toml")
    assert recipe.deployment.prevalence == {"insult": 0.05}
    assert "sure" in recipe.operating_points
    metrics = json.loads((decided.folder / "metrics.json").read_text())
    assert set(metrics["splits"]) == {"calibration"}
    card = (decided.folder / "README.md").read_text()
    assert decided.before in card
    assert "flagged from, `sure`" in card
    assert "deployment prevalence of insult 5 %" in card
    assert "precision at least 1" in card


def test_the_same_again_is_the_same(trained, decided, others, new_home, tmp_path):
    overrides = ["deployment.prevalence.insult=0.05", "operating_points.sure={aim='precision', value=1.0}"]
    again = decide_artifact(
        trained.folder, others, tmp_path / "new", new_home(tmp_path / "home"), split="calibration",
        overrides=overrides, on_event=lambda event: None,
    )  # fmt: skip
    assert again.artifact.id == decided.artifact.id


def test_figures_of_the_rows_that_decided_are_marked(decided, others, new_home, tmp_path):
    result = evaluate(
        decided.folder,
        others,
        tmp_path / "report",
        new_home(tmp_path / "home"),
        splits=["calibration", "test"],
        resamples=0,
    )
    (note,) = result.notes
    assert note.startswith("calibration: calibration and thresholds were chosen on these very rows")


def refused(trained, dataset, tmp_path, new_home, error, message, **options):
    out = options.pop("out", tmp_path / "new")
    with pytest.raises(error) as caught:
        decide_artifact(
            trained.folder, dataset, out, new_home(tmp_path / "home"), on_event=lambda event: None, **options
        )
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()
    return caught.value


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["head.folds=10"], "[head] is not a decision"),
        (["evaluation.resamples=0"], "[evaluation] is not a decision"),
        (["seed=3"], "seed is not a decision"),
        (["calibration.metod=platt"], "unknown key 'calibration.metod'"),
        (["deployment.prevalence.insolt=0.1"], "no label is called 'insolt'"),
    ],
)
def test_what_needs_training_is_refused(trained, others, tmp_path, new_home, overrides, message, monkeypatch):
    monkeypatch.setattr(Engine, "load", pytest.fail)  # nothing is scored before it is refused
    refused(trained, others, tmp_path, new_home, RecipeError, message, overrides=overrides)


def test_rows_that_prove_or_taught_it_are_refused(trained, dataset, others, tmp_path, new_home):
    refused(trained, others, tmp_path, new_home, UsageError, "test split prove nothing", split="test")
    (tmp_path / "home" / "x").mkdir(parents=True)
    taught = refused(
        trained, dataset, tmp_path / "2", new_home, UsageError, "trained on these very rows", split="train"
    )
    assert taught.where == "--split train"
    refused(trained, dataset, tmp_path / "3", new_home, UsageError, "say which one to decide on")
    refused(
        trained, others, tmp_path / "4", new_home, UsageError, "is the artifact itself", out=trained.folder, replace=True
    )  # fmt: skip
    before = read_artifact(trained.folder)
    for place, inside in enumerate(("model/x", "new/../model")):
        refused(
            trained, others, tmp_path / f"in-{place}", new_home, UsageError, "inside the artifact",
            out=trained.folder / inside, replace=True
        )  # fmt: skip
    assert read_artifact(trained.folder) == before


def test_rows_that_do_not_know_a_label_are_refused(trained, others, tmp_path, new_home):
    from modwright.data.columnar import pl

    frame = others.splits["calibration"].with_columns(
        pl.lit(None, dtype=pl.Float64).alias("moderation/threat")
    )
    blind = make_dataset(TINY_SCHEMA, {"calibration": frame}, {"sources": [], "steps": []})
    refused(trained, blind, tmp_path, new_home, DataError, "labels moderation/threat")
    none = make_dataset(TINY_SCHEMA, {"calibration": frame.head(0)}, {"sources": [], "steps": []})
    refused(trained, none, tmp_path / "2", new_home, DataError, "has no rows")


def test_training_decides_on_a_split_called_calibration(tiny_base_folder, others, new_home, tmp_path):
    data = tiny_dataset(60, held_out=20)
    frames = {
        "train": data.splits["train"],
        "calibration": others.splits["calibration"],
        "test": data.splits["test"],
    }
    dataset = make_dataset(TINY_SCHEMA, frames, {"sources": [], "steps": []})
    recipe, settings = tiny_recipe(tiny_base_folder, "evaluation.resamples=0"), new_home(tmp_path / "home")
    result = train(recipe, dataset, tmp_path / "model", settings, on_event=lambda event: None)
    assert set(result.evaluations) == {"calibration", "test"}
    engine = Engine.load(result.folder, threads=1)
    assert (engine.decided_on.split, engine.decided_on.rows) == ("calibration", 90)
    assert "rows for calibration" in (result.folder / "README.md").read_text()
    alone = fit_rows(
        recipe, TINY_SCHEMA, rows_of(frames["train"], TINY_SCHEMA), settings, on_event=lambda event: None
    )
    assert alone.engine.decided_on.split == "out_of_fold"
    texts = [text_input(text) for text in tiny_texts(10)]
    ours, theirs = (one.classifier.predict_proba(texts).values["tone"] for one in (engine, alone.engine))
    assert np.abs(ours - theirs).max() < 1e-5
