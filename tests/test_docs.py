"""The pages are true: generated ones follow from the code, links lead somewhere, commands do as they say."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from importlib.util import module_from_spec, spec_from_file_location

import pytest
import typer.main

from docs_pages import PAGES, ROOT, steps
from modwright.cli.app import load_commands

WALKED = [ROOT / "README.md", ROOT / "docs" / "tutorial" / "first-model.md"]
TRAIN_AND_WATCH = ROOT / "docs" / "how-to" / "train-and-watch.md"
QA_MODERATION = ROOT / "docs" / "how-to" / "qa-moderation.md"
MODWRIGHT = [sys.executable, "-c", "from modwright.cli import main; main()"]


def named(page):
    return str(page.relative_to(ROOT))


def commands():
    for page in PAGES:
        for step in steps(page):
            if step.command[:1] == ["modwright"]:
                yield pytest.param(step.command[1:], id=f"{page.stem}: {' '.join(step.command[1:4])}")


def generated():
    spec = spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(("name", "text"), list(generated().items()))
def test_a_generated_page_follows_from_the_code(name, text):
    page = ROOT / "docs" / "reference" / name
    assert page.read_text(encoding="utf-8") == text, "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_file(), f"{target} is no file"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{target} is no heading"


def test_the_index_leads_to_every_page():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.name == "index.md" or f"({page.relative_to(ROOT / 'docs')})" in text, (
            f"{page} is not listed"
        )


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_page_names_a_machine(page):
    assert not re.search(r"(?<![\w.:/*-])/(work|tmp|root|home|Users)/", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("arguments", list(commands()))
def test_a_command_in_a_page_exists_with_its_options(arguments):
    command, rest = typer.main.get_command(load_commands()), list(arguments)
    while hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands
        command = command.commands[name]
    command.make_context(name, rest)  # raises for an unknown option or a missing argument


@pytest.mark.parametrize("name", ["quickstart", "test"])
def test_the_readme_has_each_of_its_commands_as_one_line_where_ci_finds_it(name):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^<!-- ci:{name} -->\n```sh\n(.*?)```$", readme, re.MULTILINE | re.DOTALL)
    assert found
    assert len(found[1].splitlines()) == 1
    assert "-c constraints.txt" in found[1]
    assert f"readme {name}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def run(arguments):
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(
        [*MODWRIGHT, *arguments], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def test_a_shown_line_is_compared_whole():
    assert matches("work/model  id …; same", "x\nwork/model  id 0a1b; same\n")
    assert not matches("2 lines", "12 lines\n")


def matches(shown, printed):
    pattern = ".*".join(re.escape(part) for part in shown.split("…"))
    return any(re.fullmatch(pattern, line.strip()) for line in printed.splitlines())


@contextlib.contextmanager
def serving(arguments):
    process = subprocess.Popen(
        [*MODWRIGHT, *arguments, "--no-jobs", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            assert process.wait(60) == 0


def ask(url, command):
    """Send what a curl line of a page says to the server at `url`."""
    assert command[1].startswith("http://127.0.0.1:8000/")
    assert command[2:5:2] == ["-H", "-d"]
    name, _, value = command[3].partition(": ")
    address = command[1].replace("http://127.0.0.1:8000", url)
    request = urllib.request.Request(address, command[5].encode(), {name: value})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def near(found, expected):
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(near(found[key], expected[key]) for key in expected)
    return found == pytest.approx(expected, abs=0.05) if isinstance(expected, float) else found == expected


@pytest.mark.parametrize("page", [TRAIN_AND_WATCH, QA_MODERATION], ids=named)
def test_a_page_that_trains_a_real_base_makes_its_dataset(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    monkeypatch.chdir(tmp_path)
    made = [step for step in steps(page) if step.writes or step.command[:2] == ["modwright", "data"]]
    for step in made:
        if step.writes:
            (tmp_path / step.writes[0]).write_text(step.writes[1], encoding="utf-8")
        else:
            run(step.command[1:])
    last = made[-1].command
    assert (tmp_path / last[last.index("--out") + 1] / "dataset.json").is_file()


@pytest.mark.real
@pytest.mark.parametrize("page", WALKED, ids=named)
def test_a_page_is_walked_as_it_stands(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    monkeypatch.chdir(tmp_path)
    walked = 0
    with contextlib.ExitStack() as servers:
        url = None
        for step in steps(page):
            if step.writes:
                (tmp_path / step.writes[0]).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / step.writes[0]).write_text(step.writes[1], encoding="utf-8")
            elif step.expects:
                found = [json.loads(line) for line in (tmp_path / step.expects[0]).read_text().splitlines()]
                expected = [json.loads(line) for line in step.expects[1].splitlines()]
                assert len(found) == len(expected)
                assert all(map(near, found, expected)), found
            elif step.command[:2] == ["modwright", "serve"]:
                url = servers.enter_context(serving(step.command[1:]))
                walked += 1
            elif step.command[:1] == ["curl"]:
                assert ask(url, step.command)["results"][0]["categories"]["insult"] is True
                walked += 1
            elif step.command[:1] == ["modwright"]:
                printed = run(step.command[1:])
                missing = [line for line in step.shown if not matches(line.strip(), printed)]
                assert not missing, (step.command, missing, printed)
                walked += 1
    assert walked >= 8
