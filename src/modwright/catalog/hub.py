"""The model hub as a source. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE hold as they do for huggingface_hub."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modwright.catalog.entries import HubSource
from modwright.catalog.index import UnreachableError
from modwright.catalog.progress import Progress, file_sizes, watched
from modwright.errors import SourceError

#: A closed network must cost seconds: the first question is asked once, without the library's retries.
_TIMEOUT_S = 5.0
#: A data set may have thousands of files, which the hub takes a while to list.
_LISTING_TIMEOUT_S = 20.0
_TRUE = {"1", "on", "yes", "true"}


@dataclass(frozen=True, slots=True)
class Repository:
    """What the hub says of a repository at a revision: its commit, and its files.

    Attributes:
        commit: the revision's.
        files: name to size in bytes.
        sha256: name to hash, of the files whose hash the hub knows (the large ones).
    """

    commit: str
    files: dict[str, int]
    sha256: dict[str, str] = field(default_factory=dict)


def look_up(source: HubSource) -> Repository:
    """Ask the hub for the repository's commit and files.

    Raises:
        SourceError: offline by the user's wish, no such repository or revision, or no access.
        UnreachableError: the hub did not answer.
    """
    if is_offline():
        raise SourceError("HF_HUB_OFFLINE is set", where=source.label)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        info = HfApi(endpoint=_endpoint()).repo_info(
            source.repo,
            revision=source.revision,
            repo_type=source.repo_type,
            timeout=_TIMEOUT_S if source.repo_type == "model" else _LISTING_TIMEOUT_S,
            files_metadata=True,
        )
    except HfHubHTTPError as error:
        raise SourceError(_in_short(error), where=source.label) from None
    except Exception as error:  # the library lets its HTTP client's errors through, whichever client that is
        raise UnreachableError(
            f"no answer from {_address()}: {_in_short(error)}", where=source.label
        ) from None
    files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    hashes = {file.rfilename: file.lfs.sha256 for file in info.siblings or () if file.lfs is not None}
    return Repository(info.sha or source.revision, files, hashes)


def is_offline() -> bool:
    """Say whether the user wants no question asked of the hub."""
    return any(
        os.environ.get(name, "").lower() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def take_from_hub(
    source: HubSource,
    commit: str,
    files: Sequence[str],
    folder: Path,
    what: str,
    total_bytes: int,
    progress: Progress,
) -> None:
    """Download the named files of one commit into ``folder``, in order. They are not checked here.

    Raises:
        SourceError: the hub has no such file, or the download broke off.
    """
    from huggingface_hub import hf_hub_download

    scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    try:
        with _quiet(), watched(lambda: sum(file_sizes(scratch)), progress, what, total_bytes):
            for name in files:
                _download(hf_hub_download, source, commit, name, scratch)
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).rename(folder / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(hf_hub_download: object, source: HubSource, commit: str, name: str, scratch: Path) -> None:
    assert callable(hf_hub_download)
    try:
        hf_hub_download(
            source.repo,
            name,
            revision=commit,
            repo_type=source.repo_type,
            local_dir=scratch,
            etag_timeout=_TIMEOUT_S,
            endpoint=_endpoint(),
        )
    except Exception as error:  # see look_up
        raise SourceError(f"'{name}' could not be fetched: {_in_short(error)}", where=source.label) from None


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _address() -> str:
    return _endpoint() or "huggingface.co"


def _in_short(error: Exception) -> str:
    """Return the part of a library's message a person needs."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("For more")]
    return " ".join(lines[:2]) or type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library's own bars while ours is drawn."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    was_quiet = are_progress_bars_disabled()
    if not was_quiet:
        disable_progress_bars()
    try:
        yield
    finally:
        if not was_quiet:
            enable_progress_bars()
