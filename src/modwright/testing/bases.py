"""Tiny tokenizers and bases: real architectures with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modwright.errors import MissingExtraError
from modwright.files import sha256_file
from modwright.models.features import FrozenBase
from modwright.testing.words import LABEL_WORDS, NEUTRAL_WORDS

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'"


def tiny_tokenizer() -> Any:
    """Return a lower-casing WordPiece tokenizer (tokenizers.Tokenizer) of whole words and single characters.

    As in published files, truncation and padding are switched on: whoever uses it has to switch them off.
    """
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    except ImportError:
        raise MissingExtraError("serve", "making a tokenizer") from None
    words = [*NEUTRAL_WORDS, *(word for group in LABEL_WORDS.values() for word in group)]
    pieces = [*_SPECIALS, *_CHARACTERS, *(f"##{character}" for character in _CHARACTERS), *words]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(_SPECIALS))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    return tokenizer


def make_tiny_base(folder: Path, *, seed: int = 0, layers: int = 2, max_positions: int = 64) -> Path:
    """Write a tiny BERT with random weights: config.json, model.safetensors, tokenizer.json.

    Args:
        folder: made; its path is a base's name in a recipe.
        seed: of the weights.
        layers: hidden states are numbered 0 to this.
        max_positions: longest text in tokens, special ones included.

    Raises:
        MissingExtraError: torch or transformers is not installed.
    """
    try:
        from transformers import BertConfig, BertModel
    except ImportError as error:
        raise MissingExtraError("train", f"making a base ({error.name} is missing)") from None
    tokenizer = tiny_tokenizer()
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=max_positions,
        initializer_range=0.2,  # at the usual 0.02 untrained words differ too little for tiny data
    )
    return _written(BertModel, config, seed, tokenizer, folder)


def tiny_byte_tokenizer() -> Any:
    """Return a byte-level BPE tokenizer (tokenizers.Tokenizer) as causal LMs have: words with their leading space."""
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError:
        raise MissingExtraError("serve", "making a tokenizer") from None
    words = [*NEUTRAL_WORDS, *(word for group in LABEL_WORDS.values() for word in group)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"{word} {word} {word.title()}" for word in sorted(words)] * 2, trainer)
    return tokenizer


def make_tiny_causal(folder: Path, *, seed: int = 0, layers: int = 2, max_positions: int = 256) -> Path:
    """Write a tiny Llama with random weights: config.json, model.safetensors, tokenizer.json.

    Args:
        folder: made; its path is a base's name in a recipe.
        seed: of the weights.
        layers: of the decoder.
        max_positions: longest prompt in tokens.

    Raises:
        MissingExtraError: torch or transformers is not installed.
    """
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        raise MissingExtraError("train", f"making a base ({error.name} is missing)") from None
    tokenizer = tiny_byte_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id("<|end|>"),
        initializer_range=0.2,  # at the usual 0.02 untrained words differ too little for tiny data
    )
    return _written(LlamaForCausalLM, config, seed, tokenizer, folder)


def _written(kind: Any, config: Any, seed: int, tokenizer: Any, folder: Path) -> Path:
    """Write a model of random weights, drawn with the seed, and its tokenizer."""
    import torch
    from transformers.utils import logging as transformers_logging

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config).eval()
    folder.mkdir(parents=True, exist_ok=True)
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def open_tiny_base(
    folder: Path,
    cache: Path,
    *,
    layers: Sequence[int] = (0, 1),
    max_tokens: int = 64,
    name: str | None = None,
) -> FrozenBase:
    """Export a base made by `make_tiny_base`, once per cache folder, and open it with one thread."""
    from modwright.models.export import ensure_graph

    graph = ensure_graph(folder, sha256_file(folder / "model.safetensors"), cache)
    return FrozenBase(
        name=name or folder.name,
        graph_folder=graph,
        tokenizer_folder=folder,
        layers=layers,
        max_tokens=max_tokens,
        threads=1,
    )
