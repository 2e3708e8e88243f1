"""pyproject.toml, constraints.txt, docs/dependencies.md and the imports tell the same story."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from docs_pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {"core": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
#: Commands of .ci/run, not imports.
TOOLS = {"import-linter": "lint-imports", "mypy": "mypy", "ruff": "ruff"}
#: Loaded or run by name: package to the file and the words in it that do so.
BY_NAME = {
    "psycopg": ("src/modwright/storage/database.py", '"postgresql+psycopg"'),
    "pytest-xdist": ("pyproject.toml", "-n 2 --dist loadfile"),
    "schemathesis": ("tests/e2e/test_schemathesis.py", 'with_name("schemathesis")'),
}
#: Imported in environments that a test makes for itself.
ELSEWHERE = {"mistralai", "openai"}
LICENCES = {"MIT", "BSD", "Apache", "MPL", "Python Software Foundation", "LGPL"}


def own(extra):
    """Return the packages an extra names itself, without those of the extras it has."""
    requirements = map(Requirement, EXTRAS[extra])
    return {canonicalize_name(found.name): found for found in requirements if found.name != "modwright"}


def distributions():
    """Return top-level import name to the installed distributions that have it."""
    found = metadata.packages_distributions()
    return {name: {canonicalize_name(one) for one in names} for name, names in found.items()}


def imported(folder):
    """Return the names that files below a folder import, without the standard library's and our own."""
    names, local = set(), set()
    if folder != "src":  # there, files import each other by their bare names
        local = {path.stem for path in (ROOT / folder).rglob("*.py")}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - local - {"modwright"} - ELSEWHERE


def packages_of(names):
    known = distributions()
    return {name: known.get(name, {canonicalize_name(name)}) for name in names}


def test_what_the_package_imports_is_declared():
    declared = {name for extra in EXTRAS if extra != "dev" for name in own(extra)}
    for name, packages in packages_of(imported("src")).items():
        assert packages & declared, f"'{name}' is imported and no extra but [dev] has it"


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "docs", ".ci"])
def test_what_tests_and_benchmarks_import_is_declared(folder):
    declared = {name for extra in EXTRAS for name in own(extra)}
    for name, packages in packages_of(imported(folder)).items():
        assert packages & declared, f"'{name}' is imported below {folder} and not declared"


def test_what_is_declared_is_used():
    in_source = set().union(*packages_of(imported("src")).values())
    in_tests = set().union(*packages_of(imported("tests") | imported("benchmarks")).values())
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for extra in EXTRAS:
        for name in own(extra):
            if name in TOOLS:
                assert f"/{TOOLS[name]}" in ci, f"{name} is declared and .ci/run does not call it"
            elif name in BY_NAME:
                file, words = BY_NAME[name]
                assert words in (ROOT / file).read_text(encoding="utf-8"), f"{name} is declared, not named"
            else:
                assert name in (in_tests if extra == "dev" else in_source), (
                    f"{name} is declared, not imported"
                )


def closure(extras):
    """Return the distributions that the core and the named extras bring in on this machine."""
    seen, waiting = set(), [Requirement(f"modwright[{','.join(extras)}]" if extras else "modwright")]
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        for text in metadata.distribution(wanted.name).requires or ():
            found = Requirement(text)
            if found.marker is None or any(
                found.marker.evaluate({"extra": e}) for e in (wanted.extras or {""})
            ):
                waiting.append(found)
    return {name for name, _ in seen} - {"modwright"}


BLOCKED = """
import importlib, pkgutil, sys

class Absent:
    names = set({names!r})
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import modwright.errors
for prefix in {rooms!r}:
    room = importlib.import_module(prefix)
    for info in pkgutil.walk_packages(getattr(room, "__path__", []), prefix + "."):
        try:
            importlib.import_module(info.name)
        except (ModuleNotFoundError, modwright.errors.MissingExtraError) as error:
            name = info.name.removeprefix("modwright.")
            missing = getattr(error, "extra", None) or error.name
            if missing not in ("train", "torch", "transformers", "peft") or name not in {torch_rooms!r}:
                raise
            print(name)
"""
#: Rooms that are torch through and through, and say so; imported only where a model is trained or an LLM is loaded.
TORCH_ROOMS = {
    *("models.answers", "models.causal", "models.decoder", "models.encoder_files", "models.foreign"),
    *("models.published_decoder", "models.trunk"),
    *("training.causal", "training.causal_groups", "training.draws", "training.encoder"),
    *("training.encoder_groups", "training.encoder_running", "training.loop", "training.memory"),
    *("training.optimizer", "training.precision", "training.sequences", "training.sharded"),
    *("training.speed", "training.tuned"),
}
CORE = [
    "errors",
    "schema",
    "recipe",
    "settings",
    "files",
    "artifact",
    "catalog",
    "client",
    "evaluation",
    "render",
    "cli",
]
SERVE = [
    *("serving", "api", "models", "pipeline.predict", "pipeline.verify"),
    *("storage", "jobs.service", "jobs.checking"),
]


@pytest.mark.parametrize(
    ("extras", "rooms"),
    [
        ([], CORE),
        (["serve"], [*CORE, *SERVE]),
        (["data"], [*CORE, "data"]),
        (["data", "serve"], [*CORE, *SERVE, "data", "training", "pipeline"]),
        (["train"], [*CORE, *SERVE, "data", "training", "pipeline", "estimator", "testing"]),
    ],
    ids=["core", "serve", "data", "data and serve", "train"],
)
def test_rooms_import_with_their_extras_alone(extras, rooms):
    allowed = closure(extras)
    absent = [name for name, packages in distributions().items() if not packages & {*allowed, "modwright"}]
    assert ("torch" in absent) is ("train" not in extras)
    code = BLOCKED.format(
        names=absent,
        rooms=[f"modwright.{room}" for room in rooms],
        torch_rooms=TORCH_ROOMS if "train" not in extras else set(),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    expected = set() if "train" in extras else {name for name in TORCH_ROOMS if name.split(".")[0] in rooms}
    assert set(done.stdout.split()) == expected, "a room of torch is one that fails without it"


def constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(len(pin.specifier) == 1 and str(pin.specifier).startswith("==") for pin in pins)
    return {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in pins}


def test_every_version_is_pinned_and_allowed():
    pins = constraints()
    for extra in EXTRAS:
        for name, requirement in own(extra).items():
            assert requirement.specifier.contains(pins[name], prereleases=True), name
    assert {str(pin) for pin in pins.values() if pin.local} == set()
    missing = {
        name for name in closure(["dev"]) - set(pins) if not name.startswith(("nvidia-", "triton", "cuda-"))
    }
    assert not missing, f"not pinned: {missing}"


def rows():
    """Return extra to package to (version, licence) as the page lists them."""
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        extra = section.splitlines()[0].strip("`[]").lower()
        cells = [
            [cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if "|" in line
        ]
        found[extra] = {cell[0]: (cell[1], cell[2]) for cell in cells[2:]}
    return found


def test_the_page_lists_every_dependency_with_its_tested_version():
    pins = constraints()
    expected = {extra: {name: str(pins[name]) for name in own(extra)} for extra in EXTRAS}
    listed = {
        extra: {name: version for name, (version, _) in packages.items()}
        for extra, packages in rows().items()
    }
    assert listed == expected


@pytest.mark.parametrize(
    ("name", "licence"),
    [(name, licence) for packages in rows().values() for name, (_, licence) in packages.items()],
)
def test_the_page_says_the_licence_that_the_package_says(name, licence):
    found = metadata.metadata(name)
    said = [found.get("License-Expression"), found.get("License"), *(found.get_all("Classifier") or [])]
    said += [path.read_text()[:200] for path in metadata.files(name) if path.name.startswith("LICENSE")]
    families = [family for family in LICENCES if family in licence]
    assert families
    assert all(any(family in text for text in said if text) for family in families)
