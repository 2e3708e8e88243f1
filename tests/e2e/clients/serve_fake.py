"""Serve the tiny fake through the very function behind `modwright serve`; prints its readiness as JSON.

python serve_fake.py [HOST [PORT]]
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "serving"))

import serving_fakes

from modwright.cli.serve import ServeOptions, serve
from modwright.serving.deployments import Deployments


class Slow(serving_fakes.FakeClassifier):
    """Takes its time over a text that begins with 'slow'."""

    def before(self, inputs):
        if any(item[-1].content.startswith("slow") for item in inputs):
            time.sleep(1.0)


fakes = serving_fakes.deployments(Slow(), names=("goose",))
Deployments.load = classmethod(lambda cls, specs, settings, *, keeping: fakes)
given = argparse.ArgumentParser()
given.add_argument("host", nargs="?")
given.add_argument("port", nargs="?", type=int, default=0)
serve(ServeOptions(**vars(given.parse_args()), jobs=False, as_json=True))
print("ended", flush=True)
