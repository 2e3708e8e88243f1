"""Which files of a data repository are which configuration's splits: from its card, or from the files' names.

Nothing is fetched here and no code of a repository is run. The conventions are those of the hub's own library
(`datasets`, `data_files.py`): https://huggingface.co/docs/hub/datasets-file-names-and-splits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from modwright.catalog.patterns import has_magic, matching
from modwright.catalog.unpack import COMPRESSED
from modwright.errors import DataError, NotFoundError, UsageError, nearest

TRAIN = "train"
DEFAULT_CONFIG = "default"
_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")  # the first wins a tie
_NOT_DATA = frozenset({"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"})
_SHARD = re.compile(r"data/(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*")
_CONVERTED = re.compile(r"(?P<config>[^/]+)/(?P<split>[^/]+)/[^/]+\.parquet")
_KEYWORDS = {
    TRAIN: ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}

#: Split to files, in the order they are read.
Splits = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Configurations of a repository.

    Attributes:
        configs: name to splits.
        default: the configuration that is meant where none is named; None where several are as good.
    """

    configs: dict[str, Splits]
    default: str | None

    def files(self, config: str | None, split: str | None, where: str) -> tuple[str, str, list[str]]:
        """Return the configuration, the split and its files in order.

        Raises:
            UsageError: none named where there are several; they are listed.
            NotFoundError: no such configuration or split; those there are, are listed.
            DataError: the configuration has no files.
        """
        config = config or self.default
        if config is None:
            raise UsageError(
                f"has several configurations: {_listed(self.configs)}",
                where=where,
                remedy=f"name one: hf://OWNER/NAME#{next(iter(self.configs))}:SPLIT",
            )
        if config not in self.configs:
            raise NotFoundError(
                f"has no configuration '{config}'; there is {_listed(self.configs)}",
                where=where,
                remedy=nearest(config, self.configs),
            )
        splits = self.configs[config]
        if not splits:
            raise DataError(
                f"configuration '{config}' has no file that can be read",
                file=where,
                remedy="name another one, or fetch the files yourself and give their paths",
            )
        if split is None and len(splits) > 1:
            raise UsageError(
                f"has several splits: {_listed(splits)}",
                where=where,
                remedy=f"name one at the end: :{next(iter(splits))}",
            )
        split = split or next(iter(splits))
        if split not in splits:
            raise NotFoundError(
                f"has no split '{split}'; there is {_listed(splits)}",
                where=where,
                remedy=nearest(split, splits),
            )
        return config, split, splits[split]


def from_card(card: Mapping[str, Any], files: Iterable[str], where: str) -> Layout | None:
    """Return what the card's `configs` say, or None where it names no files.

    Configurations without a file that can be read (of images, say) are left out.

    Raises:
        DataError: the card names files that the repository does not have, or is no list of configurations.
    """
    stated = card.get("configs")
    if not isinstance(stated, list):
        return None
    usable = [name for name in files if _is_data(name)]
    configs: dict[str, Splits] = {}
    defaults: list[str] = []
    for config in stated:
        if not isinstance(config, dict):
            raise DataError("the card's 'configs' hold something else than objects", file=where)
        name = str(config.get("config_name", DEFAULT_CONFIG))
        folder = str(config.get("data_dir") or "").strip("./")
        below = [file for file in usable if not folder or file.startswith(f"{folder}/")]
        splits: Splits | None = None
        if config.get("data_files") is not None:
            splits = _stated_splits(config["data_files"], folder, usable, where)
        elif folder:
            splits = _named_splits(below, folder)
        if not splits:
            continue
        configs[name] = splits
        if config.get("default") is True or name == DEFAULT_CONFIG:
            defaults.append(name)
    if not configs:
        return None
    return Layout(configs, defaults[0] if defaults else _only(configs))


def from_names(files: Iterable[str]) -> Layout | None:
    """Return one configuration by the usual names (`data/train-00000-of-00002.parquet`, `train.csv`), or None."""
    splits = _named_splits([name for name in files if _is_data(name)], "")
    return Layout({DEFAULT_CONFIG: splits}, DEFAULT_CONFIG) if splits else None


def from_converted(files: Iterable[str]) -> Layout | None:
    """Return the configurations of the branch that the hub converts to Parquet itself, or None."""
    configs: dict[str, Splits] = {}
    for name in sorted(files):
        found = _CONVERTED.fullmatch(name)
        if found:
            configs.setdefault(found["config"], {}).setdefault(found["split"], []).append(name)
    if not configs:
        return None
    return Layout(configs, DEFAULT_CONFIG if DEFAULT_CONFIG in configs else _only(configs))


def has_loading_script(repo: str, files: Iterable[str]) -> bool:
    """Say whether a repository brings a program that reads its files: then their names say nothing for sure."""
    return f"{repo.partition('/')[2]}.py" in set(files)


def _only(configs: Mapping[str, Splits]) -> str | None:
    return next(iter(configs)) if len(configs) == 1 else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _is_data(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith((".", "__")) for part in parts)
    return not hidden and parts[-1] not in _NOT_DATA and _suffix(name) in _SUFFIXES


def _suffix(name: str) -> str:
    """Return the ending that tells the format, below one of compression."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in COMPRESSED else path.suffix


def _stated_splits(stated: Any, folder: str, files: list[str], where: str) -> Splits:
    """Read `data_files`: a pattern, a list of them, an object by split, or a list of split and path."""
    if isinstance(stated, dict):
        pairs = list(stated.items())
    elif isinstance(stated, list) and any(isinstance(entry, dict) for entry in stated):
        pairs = [
            (entry.get("split", TRAIN), entry.get("path")) for entry in stated if isinstance(entry, dict)
        ]
    else:
        pairs = [(TRAIN, stated)]
    splits: Splits = {}
    for split, paths in pairs:
        for path in paths if isinstance(paths, list) else [paths]:
            try:
                found = _found(str(path), folder, files)
            except UsageError as error:
                raise DataError(f"the card's files: {error}", file=where) from None
            if not found:
                raise DataError(
                    f"the card says that '{path}' is split '{split}', and no data file is called so",
                    file=where,
                    remedy="name another revision, or fetch the file yourself and give its path",
                )
            splits.setdefault(str(split), []).extend(found)
    return {split: list(dict.fromkeys(names)) for split, names in splits.items()}


def _found(path: str, folder: str, files: list[str]) -> list[str]:
    path = path.removeprefix("./").strip("/")
    path = f"{folder}/{path}" if folder else path
    if has_magic(path):
        return matching(path, files)
    return [name for name in files if name == path] or matching(f"{path}/**", files)


def _named_splits(files: list[str], folder: str) -> Splits | None:
    """Find the splits in names: shards below data/, then folders, then files; else everything is `train`."""
    if not files:
        return None
    counts = Counter(_suffix(name) for name in files)
    suffix = max(_SUFFIXES, key=lambda known: counts[known])
    inner = {name: name.removeprefix(f"{folder}/") for name in sorted(files) if _suffix(name) == suffix}
    shards = {name: found["split"] for name, short in inner.items() if (found := _SHARD.fullmatch(short))}
    by_folder = {name: split for name, short in inner.items() if (split := _keyword(short.split("/")[:-1]))}
    by_name = {name: split for name, short in inner.items() if (split := _keyword(short.split("/")[-1:]))}
    chosen = shards or by_folder or by_name or dict.fromkeys(inner, TRAIN)
    splits: Splits = {}
    for name, split in chosen.items():
        splits.setdefault(split, []).append(name)
    usual = [split for split in _KEYWORDS if split in splits]
    return {split: splits[split] for split in [*usual, *sorted(set(splits) - set(usual))]}


def _keyword(parts: Iterable[str]) -> str | None:
    """Return the split whose keyword stands in one of the names, between their ends, '-', '.', '_', ' ' or digits."""
    for split, keywords in _KEYWORDS.items():
        form = re.compile(rf"(^|[-._ 0-9])({'|'.join(keywords)})([-._ 0-9]|$)")
        if any(form.search(part) for part in parts):
            return split
    return None
