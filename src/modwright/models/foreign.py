"""Sequence classifiers of transformers as they were published: loaded whole, and called as a graph is.

The head is the model's own, whatever it is. Decoders (Llama and its kin) pool the last token that the mask shows; the
published code finds it by the padding token's id, which many decoders do not have.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import IntegrityError, MissingExtraError, SourceError, UsageError
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.schema import FloatArray

try:
    import torch
    import transformers
    from torch import nn
except ImportError as error:
    raise MissingExtraError("train", f"importing a model ({error.name} is missing)") from None

#: Texts on which the published tokenizer and ours must agree.
TOKENIZED = (
    "You are a silly goose.",
    "  Two  blanks, tabs\tand\nlines ",
    "Fünf Gänse 🪿 – «ja»",
    "",
    "x" * 40,
)


def load_published(folder: Path, *, attention: str = "eager") -> Any:
    """Return a sequence classifier in float32, every weight of it from the folder.

    Args:
        folder: with config.json and safetensors.
        attention: "eager" to export, "sdpa" to score.

    Raises:
        SourceError: transformers does not know or cannot load it; code that came with it is not run.
        UsageError: weights are missing, so that the model would be part random.
    """
    transformers.utils.logging.disable_progress_bar()
    before = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        model, told = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation=attention,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise SourceError(f"transformers cannot load this classifier: {error}", where=str(folder)) from None
    finally:
        transformers.utils.logging.set_verbosity(before)
    missing = sorted(told["missing_keys"])
    if missing:
        raise UsageError(
            f"the weights of {', '.join(missing[:3])} are missing, so its answers would be random",
            where=str(folder),
            remedy="import a model that was trained to classify, with its head",
        )
    return model.eval()


class PublishedLogits(nn.Module):  # type: ignore[misc]  # torch's types are not followed
    """Ids, mask and, where model and tokenizer have them, types (N, T) to logits (N, L) float32.

    Args:
        model: of `load_published`.
        given: names of what its tokenizer gives.
    """

    def __init__(self, model: Any, given: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        named = "token_type_ids" in inspect.signature(model.forward).parameters and "token_type_ids" in given
        self.takes_types = named and int(getattr(model.config, "type_vocab_size", 2)) > 1
        trunk = getattr(model, model.base_model_prefix, None)
        self.pools_last = trunk is not None and isinstance(getattr(model, "score", None), nn.Linear)

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        """Return logits; padding is on the right."""
        types = {"token_type_ids": token_type_ids} if self.takes_types else {}
        if not self.pools_last:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, **types).logits.float()
        trunk = getattr(self.model, self.model.base_model_prefix)
        states = trunk(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **types)[
            0
        ]  # (N, T, D)
        last = attention_mask.sum(dim=1) - 1  # (N,)
        pooled = states[torch.arange(states.shape[0], device=states.device), last]
        return self.model.score(pooled).float()


def write_tokenizer(folder: Path, destination: Path) -> Any:
    """Write a `tokenizer.json` that does what the published tokenizer does, and return the published one.

    Raises:
        SourceError: transformers cannot load it, or it has no fast form.
        IntegrityError: no `tokenizer.json` gives its tokens.
    """
    try:
        published = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise SourceError(f"transformers cannot load its tokenizer: {error}", where=str(folder)) from None
    if not getattr(published, "is_fast", False):
        raise SourceError("its tokenizer has no fast form", where=str(folder), remedy="add a tokenizer.json")
    destination.parent.mkdir(parents=True, exist_ok=True)
    own = folder / TOKENIZER_FILE
    if own.is_file():
        destination.write_bytes(own.read_bytes())
        if _agree(published, destination):
            return published
    published.backend_tokenizer.save(str(destination))  # settings beside the file may change what it does
    if not _agree(published, destination):
        raise IntegrityError("its tokenizer.json gives other tokens than transformers", where=str(folder))
    return published


def _agree(published: Any, path: Path) -> bool:
    texts = list(TOKENIZED)
    return bool(Tokenizer(path).ids(texts) == [published(text)["input_ids"] for text in texts])


def published_scores(
    model: Any, tokenizer: Any, texts: Sequence[str | tuple[str, str]], *, independent: bool
) -> FloatArray:
    """Return what transformers' own classification pipeline says of texts or pairs, one at a time: (N, L).

    Args:
        model: of `load_published`.
        tokenizer: of `write_tokenizer`.
        texts: none longer than the model takes.
        independent: a sigmoid per label; else a softmax over them.
    """
    found = []
    for text in texts:
        given = tokenizer(*([text] if isinstance(text, str) else text), return_tensors="pt")
        with torch.inference_mode():
            logits = model(**given).logits[0].double()
        found.append((logits.sigmoid() if independent else logits.softmax(dim=0)).numpy())
    return np.stack(found)
