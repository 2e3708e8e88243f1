"""The figures of a run under way, for one line of a terminal: loss, rate, tokens per second, what is left, the best."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from modwright.training.events import Looked, RunStarted, Step

#: The loss shown is the mean of about so many steps, the speed that of the last ones.
_SMOOTHING = 20
_SPEED_STEPS = 50
_GAP = "  "
_MOST_METRICS = 4


class RunMeter:
    """Reads one run's steps and looks; the clock is that of the wall, looks and checkpoints included."""

    def __init__(self, run: RunStarted, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = run.name or "train"
        self.done, self.total = 0, run.steps
        self._clock = clock
        self._smooth = self._weight = 0.0
        self._recent: deque[tuple[int, float]] = deque(maxlen=_SPEED_STEPS)
        self._since: tuple[float, int] | None = None  # when, and after which step, this process began
        self._rate: float | None = None
        self._best: Looked | None = None

    def step(self, step: Step) -> None:
        """Take a step."""
        if self._since is None:
            self._since = (self._clock() - step.seconds, step.number - 1)
        keep = 1 - 1 / _SMOOTHING
        self._smooth = keep * self._smooth + (1 - keep) * step.train_loss
        self._weight = keep * self._weight + (1 - keep)
        self._recent.append((step.tokens, step.seconds))
        self.done, self.total, self._rate = step.number, step.total or self.total, step.learning_rate

    def look(self, look: Looked) -> None:
        """Take the scores of held-out rows."""
        if look.best:
            self._best = look

    @property
    def loss(self) -> float:
        """Return the smoothed training loss, 0 before the first step."""
        return self._smooth / self._weight if self._weight else 0.0

    @property
    def tokens_per_s(self) -> float:
        """Return the tokens of the last steps per second of computing, padding left out."""
        tokens, seconds = (
            (sum(values) for values in zip(*self._recent, strict=True)) if self._recent else (0, 0)
        )
        return tokens / seconds if seconds > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Return the seconds that this run will still take, None before the first step."""
        if self._since is None or self.done <= self._since[1]:
            return None
        began, before = self._since
        return (self._clock() - began) / (self.done - before) * max(0, self.total - self.done)

    def detail(self, width: int) -> str:
        """Return the figures that have room in a width, the most wanted first."""
        parts = [f"{self.done:,}/{self.total:,}", f"loss {self.loss:.4f}"]
        if self.left_s is not None:
            parts.append(f"{clock_text(self.left_s)} left")
        if self._best is not None:
            parts.append(f"best {self._best.loss:.4f}")
        if self.tokens_per_s:
            parts.append(f"{self.tokens_per_s:,.0f} tokens/s")
        if self._rate is not None:
            parts.append(f"rate {self._rate:.2g}")
        shown = parts[0]
        for part in parts[1:]:
            if len(shown) + len(_GAP) + len(part) > width:
                break
            shown += _GAP + part
        return shown


def look_line(run: str, look: Looked) -> str:
    """Return a look as one line: where, the loss, the metrics, and whether it is the best so far."""
    at = "before training" if look.step == 0 else f"step {look.step:,}, epoch {look.epoch:.2f}"
    figures = "".join(f", {name} {value:.4f}" for name, value in list(look.metrics.items())[:_MOST_METRICS])
    best = " (best so far)" if look.best and look.step else ""
    return f"{run}{': ' if run else ''}{at}: validation loss {look.loss:.4f}{figures}{best}"


def clock_text(seconds: float) -> str:
    """Return a duration as 0:07, 12:30 or 3:05:00."""
    whole = round(seconds)
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
