"""Recipes: every default stated once and explained, every mistake named with the nearest right thing."""

from __future__ import annotations

import tomllib
import typing
from importlib import resources

import pytest
from pydantic import BaseModel

from modwright.errors import RecipeError
from modwright.recipe import FAMILIES, expand, load_recipe, shipped_recipes, varied

#: A shipped recipe of every family that states and explains every key of it.
FULL = {"frozen": "fast", "encoder": "balanced", "causal": "llm"}
#: Single tables that a list of tables stands for.
LISTS = {"bases"}
#: Tables by names that a recipe gives; every shipped one has these.
NAMED = {"operating_points": ("default", "strict", "lenient")}


def text_of(name):
    return (resources.files("modwright") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_loads_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.base_names
    text = text_of(name)
    assert text.startswith(f"# {name}: ")


def table_of(field):
    """Return the model of a section or list of sections, None for a plain key."""
    inner = field.annotation
    for _ in range(2):
        arguments = typing.get_args(inner)
        if typing.get_origin(inner) in (list, typing.Annotated) and arguments:
            inner = arguments[0]
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def keys_of(model, prefix=""):
    """Yield every key path of a pydantic model with its field, lists of tables by their item."""
    for name, field in model.model_fields.items():
        inner = table_of(field)
        if prefix + name in NAMED:
            _, inner = typing.get_args(field.annotation)
            for given in NAMED[prefix + name]:
                yield from keys_of(inner, f"{prefix}{name}.{given}.")
        elif inner is not None:
            yield from keys_of(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def explained(name):
    """Return the keys that a recipe states or explains, each with whether a comment stands above it.

    A comment holds for all lines below it, up to the next blank or comment.
    """
    found, table, commented = {}, "", False
    for line in text_of(name).splitlines():
        text = line.strip()
        if not text:
            commented = False
        elif text.startswith("#"):
            commented = True
            words = text.removeprefix("#").split()
            if words and words[1:4] == ["is", "not", "stated:"]:
                found[table + words[0]] = True
        elif text.startswith("["):
            table = text.strip("[]") + "."
        else:
            found[table + text.split("=")[0].strip()] = commented
    top = {key.rpartition(".")[2]: key for key in found if key.endswith((".targets", ".data"))}
    for bare, key in top.items():  # explained below another table, for TOML's sake
        found[bare] = found.pop(key)
    return found


@pytest.mark.parametrize("family", FULL)
def test_one_recipe_of_a_family_states_every_key_there_is_under_a_comment(family):
    found = explained(FULL[family])
    keys = dict(keys_of(FAMILIES[family]))
    assert len(keys) > 20
    assert set(found) == set(keys)
    assert [key for key, commented in found.items() if not commented] == []


@pytest.mark.parametrize("family", FULL)
def test_no_key_but_optional_ones_has_a_default_in_code(family):
    stated = tomllib.loads(text_of(FULL[family]))
    for key, field in keys_of(FAMILIES[family]):
        *path, last = key.split(".")
        table = stated
        for part in path:
            table = table[part][0] if part in LISTS else table[part]
        assert (last in table) is field.is_required(), key
        if not field.is_required():
            assert field.get_default(call_default_factory=True) in (None, {}), key


@pytest.mark.parametrize(
    ("written", "runs"),
    [
        (["epochs=1,2,3"], [["epochs=1"], ["epochs=2"], ["epochs=3"]]),
        (["seed=1,2", "epochs=5"], [["seed=1", "epochs=5"], ["seed=2", "epochs=5"]]),
        (["seed=1,1"], [["seed=1"]]),
        (["head.c=[1.0, 4.0]"], [["head.c=[1.0, 4.0]"]]),
        (["prompt.yes='a,b'"], [["prompt.yes='a,b'"]]),
        (["prompt.answer=well, then: say"], [["prompt.answer=well, then: say"]]),
        ([], [[]]),
    ],
)
def test_a_list_of_plain_values_is_a_grid(written, runs):
    assert [list(run) for run in expand(written)] == runs
    assert bool(varied(written)) is (len(runs) > 1)


def test_a_grid_of_too_many_runs_is_refused():
    numbers = ",".join(map(str, range(40)))
    with pytest.raises(RecipeError, match=r"1,600 runs"):
        expand([f"seed={numbers}", f"epochs={numbers}"])


def test_a_bare_key_means_the_one_table_that_states_it():
    assert load_recipe("balanced", ["epochs=7"]).training.epochs == 7
    assert load_recipe("fast", ["max_landmarks=70"]).head.max_landmarks == 70
    with pytest.raises(RecipeError, match="unknown key 'epochz'"):
        load_recipe("balanced", ["epochz=7"])
    with pytest.raises(RecipeError, match="unknown key 'name'"):
        load_recipe("fast", ["name=x"])


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("seed=7", lambda r: r.seed == 7),
        ("head.folds=10", lambda r: r.head.folds == 10),
        ("window.overlap=0.25", lambda r: r.window.overlap == 0.25),
        ("head.c=[1.0, 4]", lambda r: r.head.c == [1.0, 4.0]),
        ("head.kinds=['linear']", lambda r: r.head.kinds == ["linear"]),
        ("embedding.cache=false", lambda r: r.embedding.cache is False),
        ("window.single_label=mean", lambda r: r.window.single_label == "mean"),
        ("window.single_label='mean'", lambda r: r.window.single_label == "mean"),
        (" training.learning_rate = 1e-3", lambda r: r.training.learning_rate == 1e-3),
        ('bases=[{name="x", layers=[0]}]', lambda r: [b.name for b in r.bases] == ["x"]),
        ("training={training_steps=5}", lambda r: r.training.training_steps == 5),
        ("deployment.prevalence.insult=0.02", lambda r: r.deployment.prevalence == {"insult": 0.02}),
        ("operating_points.strict.value=0.99", lambda r: r.operating_points["strict"].value == 0.99),
        ("misses=0.01", lambda r: r.review.misses == 0.01),
    ],
)
def test_overrides_of_every_type(override, read):
    assert not read(load_recipe("fast"))
    assert read(load_recipe("fast", [override]))


def test_the_last_override_holds():
    assert load_recipe("fast", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "message", "remedy"),
    [
        ("head.fold=10", "unknown key 'head.fold'", "did you mean 'folds'?"),
        ("sead=1", "unknown key 'sead'", "did you mean 'seed'?"),
        ("family=encoder", "key 'base' is missing", 'extends = "balanced"'),
        ("heads.folds=1", "there is no table 'heads'", "did you mean 'head'?"),
        ("head.c.d=1", "there is no table 'head.c'", None),
        ("seed", "override is 'seed'", "key=value"),
        ("=3", "override is '=3'", "key=value"),
        ("seed=-1", "key 'seed' is -1", None),
        ("seed=abc", "key 'seed' is 'abc'", None),
        ("head.c=[]", "key 'head.c'", None),
        ("head.c=[0.0]", "key 'head.c.0' is 0.0", None),
        ("head.c=[inf]", "key 'head.c.0' is inf", None),
        ("head.gamma=[nan]", "key 'head.gamma.0' is nan", None),
        ("head.kinds=['forest']", "key 'head.kinds.0' is 'forest'", None),
        ("window.quantile=1.5", "key 'window.quantile' is 1.5", None),
        ("window.min_tokens=200", "min_tokens 200 is above max_tokens 128", None),
        ("family=casual", "family is 'casual'", "did you mean 'causal'?"),
        ("bases=[]", "key 'bases'", None),
        ('bases=[{name="x", layers=[-1]}]', "key 'bases.0.layers.0' is -1", None),
        ('bases=[{name="x", layer=[1]}]', "", None),
        ('bases=[{name="x", layers=[1]}, {name="x", layers=[2]}]', "the base 'x' is named twice", None),
        ("training={}", "key 'training.training_steps' is missing", "state it"),
        ("calibration.method=plat", "key 'calibration.method' is 'plat'", None),
        ("platt_from=2000", "platt_from 2000 is above isotonic_from 1000", None),
        ("deployment.prevalence.insult=1.5", "key 'deployment.prevalence.insult' is 1.5", None),
        (
            "operating_points.strict.value=90",
            "value is 90, expected above 0 and at most 1 for precision",
            None,
        ),
        ("operating_points.strict.aim=recal", "key 'operating_points.strict.aim' is 'recal'", None),
        ("operating_points.strct.value=0.5", "no table 'operating_points.strct'", "did you mean 'strict'?"),
        ("operating_points={}", "none is called 'default'", None),
        ('operating_points={default={aim="cost", value=0}}', "expected above 0 for cost", None),
        ("operating_points.default.aim=false_positive_rate", "expected below 1", None),
        ("review.misses=0", "key 'review.misses' is 0", None),
        ("extends=fast", "unknown key 'extends'", None),
    ],
)
def test_what_is_wrong_is_named(override, message, remedy):
    with pytest.raises(RecipeError) as caught:
        load_recipe("fast", [override])
    assert message in str(caught.value)
    assert (remedy or "") in (caught.value.remedy or "")


def test_an_unknown_key_in_a_list_of_tables_names_the_nearest(tmp_path):
    (tmp_path / "r.toml").write_text('extends = "fast"\n[[bases]]\nname = "x"\nlayers = [1]\nlayrs = [1]\n')
    with pytest.raises(RecipeError, match=r"unknown key 'bases\.0\.layrs'") as caught:
        load_recipe(str(tmp_path / "r.toml"))
    assert caught.value.remedy == "did you mean 'layers'?"
    assert str(tmp_path / "r.toml") in (caught.value.where or "")


def test_recipes_extend_shipped_ones_and_files_beside_them(tmp_path):
    (tmp_path / "below.toml").write_text('extends = "fast"\nseed = 7\n[head]\nfolds = 3\n')
    (tmp_path / "sub").mkdir()
    top = tmp_path / "sub" / "top.toml"
    top.write_text('extends = "../below.toml"\n[head]\nc = [2.0]\n')
    recipe, fast = load_recipe(str(top), ["head.max_landmarks=50"]), load_recipe("fast")
    assert (recipe.seed, recipe.head.folds, recipe.head.c, recipe.head.max_landmarks) == (7, 3, [2.0], 50)
    assert recipe.head.gamma == fast.head.gamma
    assert recipe.bases == fast.bases


def test_loops_broken_files_and_unknown_names_are_errors(tmp_path):
    loop = tmp_path / "loop.toml"
    loop.write_text('extends = "loop.toml"')
    with pytest.raises(RecipeError, match="recipes extend each other"):
        load_recipe(str(loop))
    loop.write_text("extends = 3")
    with pytest.raises(RecipeError, match="extends is 3"):
        load_recipe(str(loop))
    loop.write_text('extends = "nowhere.toml"')
    with pytest.raises(RecipeError, match="no recipe"):
        load_recipe(str(loop))
    loop.write_text("seed = ")
    with pytest.raises(RecipeError, match="is not TOML"):
        load_recipe(str(loop))
    loop.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="is not UTF-8"):
        load_recipe(str(loop))
    loop.write_text("seed = 1")
    with pytest.raises(RecipeError, match="family is None"):
        load_recipe(str(loop))
    loop.write_text('family = "frozen"')
    with pytest.raises(RecipeError, match="is missing"):
        load_recipe(str(loop))
    with pytest.raises(RecipeError, match="no recipe 'fats'") as caught:
        load_recipe("fats")
    assert "did you mean 'fast'?" in (caught.value.remedy or "")


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize("overrides", [[], ["evaluation.resamples=5", "seed=9"]])
def test_a_resolved_recipe_written_as_toml_is_the_same_recipe(name, overrides, tmp_path):
    recipe = load_recipe(name, overrides)
    (tmp_path / "resolved.toml").write_text(recipe.to_toml())
    assert load_recipe(str(tmp_path / "resolved.toml")) == recipe


@pytest.mark.parametrize(
    ("recipe", "override", "remedy"),
    [
        (
            "fast",
            "epochs=3",
            "'training.epochs' is for the families 'encoder' and 'causal', this recipe's is 'frozen'",
        ),
        ("fast", "training.epochs=3", "'training.epochs' is for the families 'encoder' and 'causal'"),
        ("fast", "trackers.tensorboard=true", "'trackers.tensorboard' is for the families"),
        ("fast", "validation.method=holdout", "'validation.method' is for the families"),
        ("balanced", "bases=[]", "'bases' is for the family 'frozen', this recipe's is 'encoder'"),
        ("balanced", "head.folds=3", "'head.folds' is for the family 'frozen'"),
        ("balanced", "shards.processes=8", "'shards.processes' is for the family 'causal'"),
        ("balanced", "epoch=3", "did you mean 'epochs'?"),
        ("balanced", "targets={q={lss=1}}", "did you mean 'loss'?"),
        ("fast", "zz=1", "known: bases, calibration, data, deployment, embedding, evaluation, family, head,"),
    ],
)
def test_a_key_of_another_family_or_a_near_one_is_named(recipe, override, remedy):
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, [override])
    assert remedy in str(caught.value)
