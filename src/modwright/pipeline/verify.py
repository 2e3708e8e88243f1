"""A saved model loaded again in a fresh process must answer what it answered when it was trained.

Run by the training pipeline as `python -m modwright.pipeline.verify ARTIFACT PROBE`; it needs no torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import IntegrityError, ModwrightError
from modwright.files import read_json, write_json
from modwright.schema import Input, Message, Role
from modwright.serving.engine import Engine

#: Largest difference of a calibrated score that a reload may show.
TOLERANCE = 1e-4


def verify_reload(artifact_folder: Path, engine: Engine, inputs: Sequence[Input]) -> None:
    """Raise IntegrityError unless a fresh process gives the engine's scores for the inputs."""
    probe: dict[str, Any] = {
        "inputs": [[[message.role, message.content] for message in value] for value in inputs],
        "scores": {name: values.tolist() for name, values in engine.calibrated(inputs).values.items()},
    }
    with tempfile.TemporaryDirectory(prefix="modwright-") as folder:
        path = Path(folder) / "probe.json"
        write_json(path, probe)
        done = subprocess.run(
            [sys.executable, "-m", "modwright.pipeline.verify", str(artifact_folder), str(path)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
            check=False,
        )
    if done.returncode != 0:
        raise IntegrityError(
            f"a fresh process does not give the scores of training: {done.stderr.strip() or done.stdout.strip()}",
            where=str(artifact_folder),
            remedy="nothing was saved; report this with the recipe",
        )


def drift(artifact_folder: Path, probe_path: Path) -> float:
    """Return the largest difference between a probe's scores and those of the artifact loaded here."""
    probe = read_json(probe_path)
    inputs = [tuple(Message(Role(role), content) for role, content in value) for value in probe["inputs"]]
    # One by one: the scores of training came in batches, so this shows what batch mates change, too.
    engine = Engine.load(artifact_folder, threads=1)
    differences = [0.0]
    for number, value in enumerate(inputs):
        for name, values in engine.calibrated([value]).values.items():
            differences.append(float(np.abs(values[0] - np.asarray(probe["scores"][name][number])).max()))
    return float(np.max(differences))  # NaN where any is


def main(arguments: Sequence[str]) -> int:
    """Compare and return an exit code."""
    try:
        found = drift(Path(arguments[0]), Path(arguments[1]))
    except ModwrightError as error:
        print(error, file=sys.stderr)
        return 1
    if not found <= TOLERANCE:
        print(f"a score differs by {found:.2g}, {TOLERANCE:g} is allowed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
