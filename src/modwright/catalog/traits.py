"""Reads what a folder of a pretrained model says of itself: its kind, pooling, lengths and licence."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.catalog.entries import BaseKind, Pooling
from modwright.catalog.weights import WEIGHTS, require_safe_weights
from modwright.errors import IntegrityError, UsageError
from modwright.files import read_json

TOKENIZER = "tokenizer.json"
#: Beside the weights.
REQUIRED_FILES = ("config.json", TOKENIZER)
#: Read or handed on where they exist. Code is never among them.
OPTIONAL_FILES = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "README.md",
    "LICENSE",
)
_DEFAULT_MAX_TOKENS = 512
#: Models whose first position embeddings belong to padding, and how many do.
_PADDED, _PADDING = ("roberta", "xlm-roberta", "mpnet", "camembert"), 2


@dataclass(frozen=True, slots=True)
class Traits:
    """What the settings files of a base say."""

    kind: BaseKind
    pooling: Pooling
    normalise: bool
    max_tokens: int
    max_positions: int
    licence: str


def require_files(names: Collection[str], where: str) -> None:
    """Raise UsageError unless the files make a usable base: safetensors, tokenizer and configuration."""
    require_safe_weights(names, where)
    for name in REQUIRED_FILES:
        if name not in names:
            raise UsageError(
                f"has no {name}", where=where, remedy=f"a base needs {', '.join((*REQUIRED_FILES, WEIGHTS))}"
            )


def read_traits(folder: Path) -> Traits:
    """Read a base's settings: those of sentence-transformers, else mean pooling without normalising.

    Raises:
        UsageError: a pooling this program does not have.
        IntegrityError: a settings file is no JSON, or says something that makes no sense.
    """
    config = _settings(folder / "config.json")
    _refuse_nonsense(config, str(folder / "config.json"))
    max_positions = _max_positions(config)
    return Traits(
        kind=_kind(config),
        pooling=_pooling(folder),
        normalise=any("Normalize" in name for name in _modules(folder)),
        max_tokens=_max_tokens(folder, max_positions),
        max_positions=max_positions,
        licence=_licence(folder / "README.md"),
    )


def _refuse_nonsense(config: Mapping[str, Any], where: str) -> None:
    positions, names = config.get("max_position_embeddings"), config.get("architectures")
    model_type = config.get("model_type")
    wanted = {
        "model_type": (model_type is None or isinstance(model_type, str), "a string"),
        "max_position_embeddings": (not positions or _is_length(positions, config), "a number of tokens"),
        "architectures": (not names or isinstance(names, list), "a list of names"),
    }
    for key, (good, expected) in wanted.items():
        if not good:
            message = f"'{key}' is {json.dumps(config[key])[:40]}, {expected} was expected"
            raise IntegrityError(
                message, where=where, remedy="take the file from where the base is from again"
            )


def _is_length(positions: Any, config: Mapping[str, Any]) -> bool:
    return isinstance(positions, int) and positions > (_PADDING if config.get("model_type") in _PADDED else 0)


def _kind(config: Mapping[str, Any]) -> BaseKind:
    architectures = config.get("architectures") or []
    causal = any("ForCausalLM" in str(name) for name in architectures)
    return BaseKind.CAUSAL if causal else BaseKind.ENCODER


def _modules(folder: Path) -> list[str]:
    """Return the types of the sentence-transformers modules, in order; empty where there are none."""
    path = folder / "modules.json"
    if not path.is_file():
        return []
    data = read_json(path)
    if not isinstance(data, list):
        raise IntegrityError("is no list of modules", where=str(path))
    return [str(module.get("type", "")) for module in data if isinstance(module, dict)]


def _pooling(folder: Path) -> Pooling:
    """Return the pooling of sentence-transformers' settings, in the older form (flags) or the newer one."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return Pooling.MEAN
    settings = _settings(path)
    named = settings.get("pooling_mode")
    chosen = {named if isinstance(named, str) else ""} - {""}
    flags = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
    }
    chosen |= {
        flags.get(key, key) for key, on in settings.items() if key.startswith("pooling_mode_") and on is True
    }
    if len(chosen) != 1 or not chosen <= set(Pooling):
        found = ", ".join(sorted(chosen)) or "none"
        raise UsageError(
            f"its pooling is {found}", where=str(path), remedy=f"one of {', '.join(Pooling)} is known here"
        )
    return Pooling(chosen.pop())


def _max_positions(config: Mapping[str, Any]) -> int:
    """Return the length the position embeddings allow; RoBERTa's and MPNet's first ones belong to padding."""
    positions = int(config.get("max_position_embeddings") or _DEFAULT_MAX_TOKENS)
    return positions - _PADDING if config.get("model_type") in _PADDED else positions


def _max_tokens(folder: Path, max_positions: int) -> int:
    for file, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        if (folder / file).is_file():
            length = _settings(folder / file).get(key)
            if isinstance(length, int | float) and length > 0:
                return int(min(length, max_positions))
    return min(_DEFAULT_MAX_TOKENS, max_positions)


def _licence(card: Path) -> str:
    """Return the licence of a model card's front matter, `unknown` where there is none."""
    if not card.is_file():
        return "unknown"
    text = card.read_text(encoding="utf-8", errors="replace")
    front = text.split("---", 2)[1] if text.startswith("---") and text.count("---") >= 2 else ""
    found = re.search(r"^license:\s*(\S+)\s*$", front, re.MULTILINE)
    return found.group(1).strip("\"'") if found else "unknown"


def _settings(path: Path) -> dict[str, Any]:
    data = read_json(path)
    if not isinstance(data, dict):
        raise IntegrityError(f"is {json.dumps(data)[:40]}, an object was expected", where=str(path))
    return data
