"""A base that lies as GGUF, converted once: dequantised weights, config and tokenizer, as every other base has them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modwright.errors import ArtifactError, IntegrityError, MissingExtraError, SourceError
from modwright.files import file_hashes, read_json, staged_folder, verify, write_json
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer

#: Raised when a conversion's files change in meaning: bases of another version are converted again.
CONVERSION_VERSION = 1
_MANIFEST = "converted.json"
_CONFIG_FILE = "config.json"
#: Keys of a config.json that tell of the machine or of the conversion, not of the model.
_NOT_THE_MODEL = ("_name_or_path", "_model_name_or_path", "transformers_version", "quantization_config")
#: What GGUF names and transformers' conversion leaves out: how a text is cut before its pieces are merged.
_PRE_TOKENIZERS = {"smollm": [{"type": "Digits", "individual_digits": True}]}


def ensure_converted(base_folder: Path, weights_sha256: str, cache: Path) -> Path:
    """Return a folder with config.json, safetensors and tokenizer.json of a causal base, converting GGUF once.

    A folder that has no GGUF is returned as it is. A conversion appears whole or not at all and is verified whenever it
    is opened; a damaged one is made again.

    Args:
        base_folder: holds a GGUF, or what is returned.
        weights_sha256: the base's identity; names the folder in the cache.
        cache: the cache's root.

    Raises:
        MissingExtraError: it must be converted and torch, transformers or gguf is not installed.
        SourceError: transformers does not know this architecture in GGUF, or there are several GGUF files.
    """
    gguf = _gguf_file(base_folder)
    if gguf is None:
        return base_folder
    folder = cache / "converted" / f"{weights_sha256[:32]}-v{CONVERSION_VERSION}"
    if not _is_sound(folder):
        with staged_folder(folder, replace=True) as staging:
            _convert(gguf, staging)
            hashes = file_hashes(staging)
            write_json(staging / _MANIFEST, {"weights_sha256": weights_sha256, "files": hashes})
    return folder


def clean_config(path: Path) -> None:
    """Take out of a config.json what tells of a machine or a conversion."""
    config = {key: value for key, value in read_json(path).items() if key not in _NOT_THE_MODEL}
    write_json(path, config)


def _gguf_file(folder: Path) -> Path | None:
    found = sorted(folder.glob("*.gguf"))
    if not found or (folder / _CONFIG_FILE).is_file():
        return None
    if len(found) > 1:
        raise SourceError(
            f"holds {len(found)} GGUF files: {', '.join(path.name for path in found)}; one is expected",
            where=str(folder),
            remedy="leave the one that is meant",
        )
    return found[0]


def _is_sound(folder: Path) -> bool:
    try:
        verify(folder, read_json(folder / _MANIFEST)["files"])
    except (IntegrityError, LookupError, TypeError, AttributeError):
        return False
    return True


def _convert(gguf: Path, folder: Path) -> None:
    try:
        import gguf as reader
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("train", f"converting a GGUF base ({error.name} is missing)") from None
    try:
        with quiet():
            model: Any = AutoModelForCausalLM.from_pretrained(
                gguf.parent, gguf_file=gguf.name, dtype=torch.float32, local_files_only=True
            )
            # What was dequantised is an ordinary model again; else save_pretrained looks for a quantizer and raises.
            model.hf_quantizer = None
            with contextlib.suppress(AttributeError):
                del model.config.quantization_config
            model.save_pretrained(folder)
            tokenizer: Any = AutoTokenizer.from_pretrained(
                gguf.parent, gguf_file=gguf.name, local_files_only=True
            )
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise SourceError(f"transformers cannot convert this GGUF: {error}", where=str(gguf)) from None
    clean_config(folder / _CONFIG_FILE)
    (folder / "generation_config.json").unlink(missing_ok=True)
    fields = reader.GGUFReader(str(gguf)).fields
    _write_tokenizer(tokenizer, fields, folder / TOKENIZER_FILE)


def _write_tokenizer(tokenizer: Any, fields: Any, path: Path) -> None:
    backend = tokenizer.backend_tokenizer
    if (
        _field(fields, "add_bos_token")
        and tokenizer.bos_token is not None
        and backend.encode("a").ids[:1] != [tokenizer.bos_token_id]
    ):
        from tokenizers.processors import TemplateProcessing

        backend.post_processor = TemplateProcessing(
            single=f"{tokenizer.bos_token} $A",
            special_tokens=[(tokenizer.bos_token, tokenizer.bos_token_id)],
        )
    data = json.loads(backend.to_str())
    # transformers adds special tokens of its own where a GGUF names none; the model has no embedding for them.
    known = len(fields["tokenizer.ggml.tokens"].data)
    data["added_tokens"] = [token for token in data["added_tokens"] if token["id"] < known]
    before = _PRE_TOKENIZERS.get(str(_field(fields, "pre")))
    if before and data["pre_tokenizer"]["type"] != "Sequence":
        data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*before, data["pre_tokenizer"]]}
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    try:
        Tokenizer(path)
    except ArtifactError as error:
        raise SourceError(f"its tokenizer cannot be converted: {error.message}", where=str(path)) from None


def _field(fields: Any, name: str) -> Any:
    field = fields.get(f"tokenizer.ggml.{name}")
    return None if field is None else field.contents()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' bars and remarks off the terminal; errors still raise."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # some bars ask nobody
            yield
    finally:
        transformers_logging.set_verbosity(level)
