"""From what a user names (paths, patterns, hub ids, addresses) to a dataset: resolve, then import."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

from modwright.catalog import Progress, fetch_sources
from modwright.data.given import GivenFile
from modwright.data.importing import Loaded, import_dataset, load_dataset
from modwright.data.options import ImportOptions
from modwright.data.options import Progress as ReadProgress
from modwright.data.summary import ImportSummary
from modwright.settings import Settings


def import_data(
    options: ImportOptions,
    settings: Settings,
    progress: Progress | None = None,
    read_progress: ReadProgress | None = None,
) -> ImportSummary:
    """Import labelled data from anywhere into a dataset folder; nothing is written unless everything is right.

    Args:
        options: its `sources` and `splits` take every notation of `fetch_sources`.
        settings: where downloads are cached, and how much a packed file may unpack to.
        progress: told how far downloads are and what failed.
        read_progress: told the bytes read of each file so far.

    Raises:
        DataError: wrong data, with file, line, field and remedy; several come as DataProblemsError.
        UsageError: contradicting options, or another dataset in the folder.
        SourceError: a source that cannot be reached.
        NotFoundError: a hub data set without that configuration or split.
    """
    with resolved_files(options, settings, progress) as files:
        return import_dataset(options, read_progress, files)


def load_data(
    options: ImportOptions,
    settings: Settings,
    progress: Progress | None = None,
    read_progress: ReadProgress | None = None,
) -> Loaded:
    """Read labelled data from anywhere without writing a dataset; arguments and errors as of `import_data`."""
    with resolved_files(options, settings, progress) as files:
        return load_dataset(options, read_progress, files)


@contextlib.contextmanager
def resolved_files(
    options: ImportOptions, settings: Settings, progress: Progress | None
) -> Iterator[dict[str, Iterator[GivenFile]]]:
    """Give the files of every split, fetched one by one as they are asked for; what was unpacked is removed."""
    specs: dict[str, list[str]] = {}
    for split, spec in options.files():
        specs.setdefault(split, []).append(spec)
    with contextlib.ExitStack() as open_files:
        files = {}
        for split, wanted in specs.items():
            given = _given(wanted, options, settings, progress)
            open_files.callback(given.close)
            files[split] = given
        yield dict(files)


def _given(
    specs: list[str], options: ImportOptions, settings: Settings, progress: Progress | None
) -> Generator[GivenFile, None, None]:
    for spec in specs:
        for source in fetch_sources(spec, settings, progress, format=options.reading.format):
            yield GivenFile(source.path, source.name, source.origin, source.stored)
