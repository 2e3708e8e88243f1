"""train, evaluate, predict and quickstart from a shell: output for people and machines, errors, exit codes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from modwright import artifact as layout
from modwright.cli import view
from modwright.cli.app import load_commands
from modwright.cli.view import print_metrics, run_view
from modwright.data.dataset import read_dataset, write_dataset
from modwright.errors import ModwrightError
from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.thresholds import flags
from modwright.schema import Schema, Target, TargetKind
from modwright.testing import tiny_dataset, tiny_recipe
from modwright.training.events import Chosen, Stage, Step, Warned


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_base, tiny_base_folder, tiny_cache):
    """A folder with a recipe, a dataset, a home whose cache holds the graph, and an artifact made by the command."""
    root = tmp_path_factory.mktemp("shell")
    shutil.copytree(tiny_cache / "graphs", root / "home" / "cache" / "graphs")
    (root / "recipe.toml").write_text(tiny_recipe(tiny_base_folder).to_toml())
    write_dataset(tiny_dataset(), root / "data")
    done = shell(root, "train", "recipe.toml", "--data", "data", "--out", "model")
    assert done.returncode == 0, done.stderr
    (root / "trained.txt").write_text(done.stdout)
    return root


def shell(root, *arguments):
    """Run the command in a folder, as a process with pipes for its output."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MODWRIGHT_")}
    environment = kept | {"MODWRIGHT_HOME": str(root / "home"), "MODWRIGHT_THREADS": "1", "COLUMNS": "80"}
    script = "import sys; from modwright.cli.app import main; sys.argv = ['modwright', *sys.argv[1:]]; main()"
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def run(place, monkeypatch):
    """Run the command in this process; an error of ours is raised, with the exit code that it stands for."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("MODWRIGHT_HOME", str(place / "home"))
    monkeypatch.setenv("MODWRIGHT_THREADS", "1")

    def _run(*arguments):
        result = CliRunner().invoke(load_commands(), [str(argument) for argument in arguments])
        if isinstance(result.exception, ModwrightError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return _run


TRAIN = ("train", "recipe.toml", "--data", "data", "--out")


def test_train_shows_figures_and_what_comes_next(place):
    shown = (place / "trained.txt").read_text()
    artifact = layout.read_artifact(place / "model")
    assert "moderation, split test" in shown
    assert "moderation, split out_of_fold" in shown
    assert f"model  id {artifact.id[:12]}; a fresh process gives the same scores" in shown
    assert "next: modwright evaluate model data --out model-evaluation" in shown
    assert "\x1b" not in shown


def test_the_next_command_works_as_it_is_printed(place):
    (line,) = [line for line in (place / "trained.txt").read_text().splitlines() if line.startswith("next: ")]
    arguments = line.removeprefix("next: modwright ").split("   or:")[0].split()
    done = shell(place, *arguments)
    assert done.returncode == 0, done.stderr
    written = {"metrics.json", "report.html", "report.json", "report.md"}
    assert {path.name for path in (place / "model-evaluation").iterdir()} == written
    assert "moderation, split test" in done.stdout
    assert "model-evaluation/report.html" in done.stdout


def test_train_again_is_unchanged(run, place):
    identity = layout.read_artifact(place / "model").id
    body = json.loads(run(*TRAIN, "model", "--json").stdout)
    assert body == {"artifact": "model", "id": identity, "unchanged": True}
    assert f"of this very recipe and data already (id {identity[:12]})" in run(
        *TRAIN, "model"
    ).stdout.replace("\n", " ")


def test_train_with_overrides_as_json(run, place):
    result = run(*TRAIN, "other", "seed=3", "head.folds=2", "--json")
    body = json.loads(result.stdout)
    assert body["unchanged"] is False
    assert body["id"] == layout.read_artifact(place / "other").id
    assert "seed = 3" in (place / "other" / "recipe.toml").read_text()
    assert result.stderr == ""


def test_evaluate_as_json(run, place):
    result = run("evaluate", "model", "data", "--out", "e", "--split", "test", "--resamples", "0", "--json")
    body = json.loads(result.stdout)
    files = ["e/metrics.json", "e/report.html", "e/report.json", "e/report.md"]
    assert body == {"metrics": files[0], "report": files[1], "files": files, "splits": ["test"]}
    found = json.loads((place / "e" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert found["settings"]["splits"]["test"]["resamples"] == 0
    shown = run("evaluate", "model", "data", "--out", "e", "--split", "train", "--resamples", "0").stdout
    assert "prove nothing" in shown.replace("\n", " ")


def test_evaluate_on_parts_of_the_rows(run, place):
    (place / "terms.txt").write_text("bakers: bread, table\nwalkers: walk, river\n")
    parts = ("--by", "length", "--by", "script", "--terms", "terms.txt")
    shown = run(
        "evaluate", "model", "data", "--out", "p", "--split", "test", "--resamples", "5", *parts
    ).stdout
    assert "clearly worse" in shown.replace("\n", " ")
    found = json.loads((place / "p" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert list(found["slices"]["splits"]["test"]) == ["length", "script"]
    assert list(found["bias"]["splits"]["test"]["moderation"]["insult"]["identities"]) == [
        "bakers",
        "walkers",
    ]


def test_predict(run, place):
    (place / "in.jsonl").write_text('{"id": "a", "text": "silly goose"}\n{"text": "my garden"}\n')
    body = json.loads(run("predict", "model", "--input", "in.jsonl", "--output", "o.jsonl", "--json").stdout)
    assert body == {"output": "o.jsonl", "lines": 2}
    assert [json.loads(line)["id"] for line in (place / "o.jsonl").read_text().splitlines()] == ["a", 2]
    assert (
        "2 lines scored: o.jsonl"
        in run("predict", "model", "--input", "in.jsonl", "--output", "o.jsonl").stdout
    )
    (place / "in.jsonl").write_text('{"text": "silly goose"}\n')
    said = run("predict", "model", "--input", "in.jsonl", "--output", "o.jsonl").stdout
    assert said.startswith("1 line scored: o.jsonl")


def damaged(place):
    folder = place / "damaged"
    if not folder.exists():
        shutil.copytree(place / "model", folder)
        (folder / "calibration.json").write_text("{}")
    return "damaged"


FAILURES = {
    "unknown key, nearest table": (
        ("train", "fast", "nonsense.key=1", "--data", "data", "--out", "x"),
        (2, "invalid_recipe", "there is no table 'nonsense'", "embedding, evaluation, head"),
    ),
    "misspelt table": (
        ("train", "fast", "haed.folds=3", "--data", "data", "--out", "x"),
        (2, "invalid_recipe", "there is no table 'haed'", "did you mean 'head'?"),
    ),
    "misspelt key": (
        ("train", "fast", "head.fold=3", "--data", "data", "--out", "x"),
        (2, "invalid_recipe", "unknown key 'head.fold'", "did you mean 'folds'?"),
    ),
    "bad value": (
        ("train", "fast", "head.folds=1", "--data", "data", "--out", "x"),
        (2, "invalid_recipe", "'head.folds' is 1", "2"),
    ),
    "unknown recipe": (
        ("train", "fats", "--data", "data", "--out", "x"),
        (2, "invalid_recipe", "no recipe 'fats'", "did you mean 'fast'?"),
    ),
    "unknown base": (
        (
            "train",
            "recipe.toml",
            'bases=[{name="all-MiniLM-L6-v3", layers=[1]}]',
            "--data",
            "data",
            "--out",
            "x",
        ),
        (2, "not_found", "all-MiniLM-L6-v3", "did you mean"),
    ),
    "no dataset": (
        ("train", "recipe.toml", "--data", "nowhere", "--out", "x"),
        (2, "not_found", "nowhere", "import"),
    ),
    "another recipe's folder": (
        (*TRAIN, "model", "seed=99"),
        (2, "usage", "model: exists already", "--replace"),
    ),
    "no artifact": (
        ("evaluate", "data", "data", "--out", "x"),
        (2, "not_found", "data: no artifact here", "`modwright train`"),
    ),
    "damaged artifact": (
        ("evaluate", damaged, "data", "--out", "x"),
        (4, "invalid_artifact", "calibration.json: sha256", "make the folder again"),
    ),
    "unknown split": (
        ("evaluate", "model", "data", "--out", "x", "--split", "tets"),
        (2, "not_found", "no split 'tets'", "it has train, validation, test"),
    ),
    "unknown column": (
        ("evaluate", "model", "data", "--out", "x", "--by", "lenght"),
        (2, "usage", "has no column 'lenght'", "did you mean 'length'?"),
    ),
    "unknown terms": (
        ("evaluate", "model", "data", "--out", "x", "--terms", "identities-de"),
        (2, "not_found", "identities-de: no such file of terms", "identities-en"),
    ),
    "malformed line": (
        ("predict", "model", "--input", "bad.jsonl", "--output", "x"),
        (3, "invalid_data", "bad.jsonl:2, field 'text': found int", "expected text"),
    ),
    "no input file": (
        ("predict", "model", "--input", "nowhere.jsonl", "--output", "x"),
        (3, "invalid_data", "nowhere.jsonl: cannot be read", "JSONL"),
    ),
    "unknown operating point": (
        ("predict", "model", "--input", "bad.jsonl", "--output", "x", "--operating-point", "defautl"),
        (2, "not_found", "unknown operating point 'defautl'", "did you mean 'default'?"),
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_are_named(run, place, case):
    arguments, (code, name, message, remedy) = FAILURES[case]
    (place / "bad.jsonl").write_text('{"text": "a"}\n{"text": 1}\n')
    with pytest.raises(ModwrightError) as caught:
        run(*(argument(place) if callable(argument) else argument for argument in arguments))
    assert (caught.value.exit_code, caught.value.code) == (code, name)
    assert message in str(caught.value)
    assert remedy in str(caught.value)
    assert not (place / "x").exists()


@pytest.mark.parametrize("case", ["misspelt table", "malformed line", "damaged artifact"])
def test_failures_reach_the_shell(place, case):
    arguments, (code, name, message, remedy) = FAILURES[case]
    (place / "bad.jsonl").write_text('{"text": "a"}\n{"text": 1}\n')
    arguments = [argument(place) if callable(argument) else argument for argument in arguments]
    done = shell(place, *arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    done = shell(place, *arguments, "--json")
    error = json.loads(done.stderr)["error"]
    assert (done.returncode, error["code"]) == (code, name)
    assert message in f"{error['where']}: {error['message']}"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("quickstart", ("--no-serve", "--port", "--json")),
        ("train", ("--data", "--out", "--replace", "--json")),
        ("evaluate", ("--out", "--split", "--resamples", "--by", "--identity", "--terms", "--json")),
        ("predict", ("--input", "--output", "--operating-point", "--json")),
    ],
)
def test_help(run, command, options):
    result = run(command, "--help")
    assert result.exit_code == 0
    for option in options:
        assert option in result.output


def test_usage_errors_leave_with_two(run):
    for arguments in (("train", "fast"), ("evaluate", "model"), ("predict",), ("quickstart", "--port", "x")):
        assert run(*arguments).exit_code == 2


LABELS = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "self-harm/instructions"),
    *("sexual/minors", "violence", "illicit", "[red]rude"),
)


@pytest.fixture(scope="module")
def nine_labels():
    """An evaluation of nine labels over many rows: figures as wide as they come; two labels lack evidence."""
    target = Target.create("moderation", TargetKind.MULTI_LABEL, LABELS)
    rng = np.random.default_rng(0)
    scores = rng.random((12_000, 9))
    labels = (rng.random(scores.shape) < scores).astype(float)
    labels[:, 3] = np.nan
    labels[:, 8] = np.arange(len(labels)) < 5
    flagged = flags(target, scores, dict.fromkeys(LABELS, 0.5))
    found = evaluate_split(
        Schema((target,)),
        {"moderation": scores},
        {"moderation": labels},
        {"moderation": flagged},
        resamples=20,
    )
    return {"test": found}


def printed(evaluations, monkeypatch, width, terminal):
    stream = io.StringIO()

    def console(**options):
        return Console(
            **{"file": stream, "width": width, "force_terminal": terminal, "no_color": True} | options
        )

    monkeypatch.setattr(view, "Console", console)
    print_metrics(evaluations, ["a note of [brackets]"])
    return stream.getvalue()


def test_the_table_in_a_pipe(nine_labels, monkeypatch):
    lines = printed(nine_labels, monkeypatch, 80, terminal=False).splitlines()
    title, heading, *rows = lines
    assert title == "moderation, split test"
    assert heading.split("  ")[0] == "label"
    for label in (*LABELS, "macro"):
        (line,) = [row for row in rows if row.startswith((label + " ", label + " *"))]
        assert "…" not in line
        assert len(line) <= 120
    assert [row.split(" *")[0] for row in rows if " * " in row and not row.startswith("*")] == [
        "hate/threatening",
        "[red]rude",
    ]
    assert "* not enough evidence: under 10 positives or negatives" in rows
    assert rows[-1] == "note: a note of [brackets]"
    assert not any(line.startswith(" ") for line in lines), "no cell goes on in a second line"


@pytest.mark.parametrize("width", [70, 80, 100, 140])
def test_the_table_on_a_terminal(nine_labels, monkeypatch, width):
    shown = printed(nine_labels, monkeypatch, width, terminal=True)
    assert max(len(Text.from_ansi(line)) for line in shown.splitlines()) <= width
    assert "…" not in shown
    assert "F1 (95 %)" in shown
    assert "ROC-AUC (95 %)" in shown
    assert ("all flagged" in shown) == (width >= 120)


def test_a_quiet_view_says_nothing(capsys):
    with run_view(quiet=True) as quiet:
        tell(quiet)
    assert capsys.readouterr() == ("", "")


def test_a_view_says_what_was_chosen_and_warns_on_standard_error(capsys):
    with run_view(quiet=False) as loud:
        tell(loud)
        assert loud.first_loss == 0.7
        assert loud.last.number == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "embed [x]", "without a terminal, a line per stage"
    assert "head of '[red]tone': linear" in err
    assert "warning: few rows [bold]" in err


def tell(shown):
    shown.on_event(Stage("embed [x]", 1, 2))
    shown.on_event(Chosen("[red]tone", "linear", 1.0, 0.0, 0.5))
    shown.on_event(Step(1, 0.7, None))
    shown.on_event(Step(2, 0.6, 0.65))
    shown.on_event(Warned("few rows [bold]"))
    shown.on_texts(1, 2)
    shown.on_scored("test", 1, 2)


def test_the_dataset_is_only_read(place):
    assert read_dataset(place / "data").id == layout.read_artifact(place / "model").dataset_id
