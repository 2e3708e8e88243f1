"""Reading what an artifact's `model/` holds: whatever a damaged or foreign file causes is an ArtifactError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modwright.errors import ArtifactError, MissingExtraError, ModwrightError


@contextmanager
def reading_model(folder: Path, *also: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong in reading an artifact folder into ArtifactError; a missing extra stays what it is.

    Args:
        folder: of the artifact.
        also: what the libraries in use raise beside Python's own errors of lookup, type, value, attribute and system.
    """
    causes: tuple[type[Exception], ...] = (LookupError, TypeError, ValueError, AttributeError, OSError, *also)
    try:
        yield
    except (ArtifactError, MissingExtraError):
        raise
    except ModwrightError as error:
        raise ArtifactError(error.message, where=error.where, remedy=error.remedy) from None
    except causes as error:
        raise ArtifactError(f"the model cannot be read: {error!r}", where=str(folder)) from None
