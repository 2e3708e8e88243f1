"""The Python of the pages on moving over, run as it stands by every kept client, on a real server with its worker.

What stands for a hosted model is a tiny recipe, so that a training takes seconds.
"""

import json
import os
import random
import re
import shutil
import subprocess
import time

import httpx
import pytest
from test_client_matrix import CLIENTS, install
from the_road import COMMAND

from docs_pages import ROOT, steps
from modwright.testing import tiny_recipe

pytestmark = pytest.mark.real
JOBS = "/v1/fine_tuning/jobs"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {name: ROOT / "docs" / "how-to" / f"move-from-{name}.md" for name in ("mistral", "openai")}
HOSTED = ("ministral-3b-latest", "gpt-4o-mini-2024-07-18")
ALIASES = ("comments", "omni-moderation-latest")
#: What is replaced from 2.0 of mistralai on, as the page says beside it.
NEWER = {
    "from mistralai import Mistral": "from mistralai.client import Mistral",
    "inputs=conversation": "input=conversation",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("moving") / "home"


@pytest.fixture(scope="module")
def url(home, tiny_base_folder):
    """A server whose hosted names stand for a tiny recipe; keys are of tests, so it takes any."""
    recipe = home.with_name("tiny.toml")
    recipe.write_text(tiny_recipe(tiny_base_folder, "evaluation.resamples=0").to_toml(), encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if not key.startswith("MODWRIGHT_")} | {
        "MODWRIGHT_HOME": str(home),
        "MODWRIGHT_JOB_ALIASES": json.dumps(dict.fromkeys(HOSTED, str(recipe))),
        "MODWRIGHT_THREADS": "1",
    }
    command = [str(COMMAND), "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            assert process.wait(60) == 0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder that the pages' Python runs in."""
    folder, draw = tmp_path_factory.mktemp("files"), random.Random(0)
    for name, rows in (("training_file", 90), ("validation_file", 30), ("test_file", 30)):
        lines = []
        for _ in range(rows):
            labels = draw.choice((["insult"], ["threat"], ["insult", "threat"], ["safe"]))
            words = [*labels, *draw.choices(("goose", "library", "tea", "rain", "ten"), k=4)]
            lines.append(json.dumps({"text": " ".join(words), "labels": {"moderation": labels}}) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def trained(url, files):
    """Train a model over plain HTTP and give it the aliases of the pages; returns its id."""
    with httpx.Client(base_url=url, timeout=60) as asked:
        content = (files / "training_file.jsonl").read_bytes()
        file = asked.post("/v1/files", files={"file": ("first.jsonl", content)}).json()["id"]
        body = {"model": HOSTED[0], "training_files": [file], "hyperparameters": {}}
        job = asked.post(JOBS, json=body).json()
        until = time.monotonic() + 300
        while job["status"] not in ("SUCCESS", "FAILED", "FAILED_VALIDATION"):
            assert time.monotonic() < until
            time.sleep(0.5)
            job = asked.get(f"{JOBS}/{job['id']}").json()
        assert job["status"] == "SUCCESS", job["error"]
        for alias in ALIASES:
            asked.put(f"/v1/models/{job['fine_tuned_model']}/aliases/{alias}").raise_for_status()
    return job["fine_tuned_model"]


def script(name, requirement, url):
    """Return a page's Python for a client; what it downloads from elsewhere comes from the server here."""
    page = PAGES[name].read_text(encoding="utf-8")
    newer = name == "mistral" and not requirement.startswith("mistralai==1.")
    blocks = PYTHON.findall(page)
    if requirement == "mistralai>=3,<4":  # without training: what needs no job of its own
        blocks = [block for block in blocks if "job" not in block]
        assert any("classify_chat" in block for block in blocks)
    text = "\n".join(blocks)
    for old, new in {
        **(NEWER if newer else {}),
        "http://127.0.0.1:8000": url,
        'Mistral(api_key=os.environ["MISTRAL_API_KEY"])': f'Mistral(api_key="unused", server_url="{url}")',
        "https://api.openai.com/v1": f"{url}/openai/v1",
        'os.environ["OPENAI_API_KEY"]': '"unused"',
    }.items():
        text = re.sub(rf"^([^#\n]*){re.escape(old)}", lambda found, new=new: found[1] + new, text, flags=re.M)
    return text


@pytest.mark.parametrize(("driver", "requirement"), CLIENTS, ids=[requirement for _, requirement in CLIENTS])
def test_a_page_runs_as_it_stands(url, files, trained, clients_folder, tmp_path, driver, requirement):
    name = driver.removeprefix("drive_").removesuffix(".py")
    for file in files.iterdir():
        # Content of its own: the same job as one that goes on would be refused.
        (tmp_path / file.name).write_text(file.read_text() + file.read_text().partition("\n")[0] + "\n")
    python = install(requirement, clients_folder)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", script(name, requirement, url)],
        capture_output=True,
        text=True,
        timeout=300,
        env=env,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    downloaded = [path for path in tmp_path.iterdir() if not path.name.endswith("_file.jsonl")]
    assert downloaded, "what was uploaded before came over"
    if name == "openai":
        assert "succeeded None" in done.stdout
        assert "trains the recipe 'tiny'" in done.stdout
        assert done.stdout.count("'insult': 0.") >= 3
    elif requirement != "mistralai>=3,<4":
        assert "VALIDATED" in done.stdout
        assert "training-plan" in done.stdout
        assert re.search(r"^25 0\.\d+ 0\.\d+$", done.stdout, re.MULTILINE)
        assert done.stdout.count("'insult': 0.") == 3
    else:
        assert done.stdout.count("'insult': 0.") == 1


@pytest.mark.parametrize("name", list(PAGES))
def test_what_a_job_trained_is_evaluated_as_the_page_says(url, home, files, trained, tmp_path, name):
    """The page's last block: the artifact is found by the card of the model's alias, and judged by rows of its own."""
    alias = ALIASES[list(PAGES).index(name)]
    asked = {"model": alias, "input": "goose"}
    httpx.post(f"{url}/v1/moderations", json=asked, timeout=60).raise_for_status()
    commands = [step.command for step in steps(PAGES[name]) if step.command]
    asking = [command for command in commands if command[0] == "curl"]
    assert asking == [["curl", f"http://127.0.0.1:8000/v1/models/{alias}"]]
    version = httpx.get(asking[0][1].replace("http://127.0.0.1:8000", url)).json()["root_version"]
    found = [
        path.parent
        for path in home.glob("served/*/artifact.json")
        if json.loads(path.read_text())["id"].startswith(version)
    ]
    assert len(found) == 1
    shutil.copy(files / "test_file.jsonl", tmp_path)
    walked = commands[commands.index(asking[0]) + 1 :]
    assert [command[1] for command in walked] == ["data", "evaluate"]
    for command in walked:
        words = [str(found[0]) if word == "$ARTIFACT" else word for word in command[1:]]
        subprocess.run([str(COMMAND), *words], check=True, cwd=tmp_path, timeout=300, capture_output=True)
    assert (tmp_path / "work" / "report" / "report.html").is_file()
    metrics = json.loads((tmp_path / "work" / "report" / "metrics.json").read_text())
    assert metrics


LEFT_OUT = """
try:
    from mistralai.client import models
except ImportError:
    from mistralai import models
kind = getattr(models, "ClassifierTrainingParametersIn", None) or models.ClassifierTrainingParameters
print(kind().model_dump_json(), kind(learning_rate=None).model_dump_json())
"""


@pytest.mark.parametrize(
    "requirement", [requirement for _, requirement in CLIENTS if requirement.startswith("mistralai==")]
)
def test_a_learning_rate_of_none_is_not_sent(clients_folder, requirement):
    python = install(requirement, clients_folder)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, "-c", LEFT_OUT], capture_output=True, text=True, check=True, env=env)
    filled_in, left_out = map(json.loads, done.stdout.split())
    assert (filled_in["learning_rate"], left_out) == (0.0001, {})
