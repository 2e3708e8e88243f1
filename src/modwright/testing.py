"""Tiny stand-ins made in code: a tokenizer, a base, labelled data, a recipe and a classifier.

They need no network, hold no state and are the same on every machine, so that a program built on modwright
can be tested in seconds. The base is a real BERT of some 20,000 random weights: it goes through the same
export, training and serving as a pretrained one, and its labels can be learnt because they follow from single
words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from modwright.errors import MissingExtraError, UsageError
from modwright.files import sha256_file
from modwright.models.features import FrozenBase
from modwright.models.windows import SingleLabelRule, combine
from modwright.recipe import CausalRecipe, EncoderRecipe, FrozenRecipe, load_recipe
from modwright.schema import FloatArray, Input, Schema, Scores, Target, TargetKind, text_input

if TYPE_CHECKING:
    from modwright.data.dataset import Dataset
    from modwright.training.rows import TrainingRows

#: Words that say nothing about any label.
NEUTRAL_WORDS = (
    *("the", "my", "this", "walk", "garden", "river", "table", "bread", "morning", "letter", "music"),
    *("house", "green", "small", "quiet", "went", "saw", "near", "with", "again"),
)
#: Sentences that no moderator would stop at, to hide something among.
HARMLESS_SENTENCES = (
    "The library opens at ten on Sunday.",
    "We walked along the river and bought fresh bread.",
    "The garden was quiet in the morning.",
    "My neighbour lent me a ladder for the roof.",
    "The train left on time and the seats were comfortable.",
    "After lunch the children painted a picture of a lighthouse.",
    "Please bring the blue folder to the meeting on Thursday.",
)
#: Label to the words that make it hold.
LABEL_WORDS = {"insult": ("silly", "goose", "donkey"), "threat": ("chase", "honk", "peck")}
#: The multi-label target of the tiny data; a text without any of the words above is safe.
MODERATION = Target.create("moderation", TargetKind.MULTI_LABEL, ("insult", "threat", "safe"))
#: The single-label target of the tiny data: rude where one of the words above occurs.
TONE = Target.create("tone", TargetKind.SINGLE_LABEL, ("kind", "rude"), negative=("kind",))
TINY_SCHEMA = Schema((MODERATION, TONE))

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
        import torch
        from transformers import BertConfig, BertModel
        from transformers.utils import logging as transformers_logging
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config).eval()
    folder.mkdir(parents=True, exist_ok=True)
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


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
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM
        from transformers.utils import logging as transformers_logging
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).eval()
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


def tiny_texts(number: int, *, seed: int = 0, words: int = 6) -> list[str]:
    """Return mild texts of at most that many words; about a third each holds an insult or a threat word."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(number):
        chosen = [str(word) for word in rng.choice(NEUTRAL_WORDS, size=int(rng.integers(2, words)))]
        for group in LABEL_WORDS.values():
            if rng.random() < 1 / 3:
                chosen.insert(int(rng.integers(0, len(chosen) + 1)), str(rng.choice(group)))
        texts.append(" ".join(chosen))
    return texts


def tiny_labels(texts: Sequence[str]) -> dict[str, FloatArray]:
    """Return the labels of texts under `TINY_SCHEMA`: target to (N, L), from the words alone."""
    held = {
        label: np.array([float(any(word in text.split() for word in group)) for text in texts])
        for label, group in LABEL_WORDS.items()
    }
    safe = 1.0 - np.maximum(held["insult"], held["threat"])
    return {
        MODERATION.name: np.stack([held["insult"], held["threat"], safe], axis=1),
        TONE.name: np.stack([safe, 1.0 - safe], axis=1),
    }


def tiny_rows(number: int = 120, *, seed: int = 0) -> TrainingRows:
    """Return labelled texts as a trainer takes them; equal texts share a group."""
    from modwright.training.rows import TrainingRows

    texts = tiny_texts(number, seed=seed)
    return TrainingRows([text_input(text) for text in texts], tiny_labels(texts), np.ones(number), texts)


def tiny_records(number: int = 120, *, seed: int = 0) -> list[dict[str, Any]]:
    """Return labelled texts as records of a JSONL file: ``text`` and ``labels`` of both targets."""
    texts = tiny_texts(number, seed=seed)
    moderation, tone = (tiny_labels(texts)[target.name] for target in TINY_SCHEMA.targets)
    return [
        {
            "text": text,
            "labels": {
                MODERATION.name: [
                    label for label, value in zip(MODERATION.labels, moderation[row], strict=True) if value
                ],
                TONE.name: TONE.labels[int(tone[row].argmax())],
            },
        }
        for row, text in enumerate(texts)
    ]


def tiny_dataset(number: int = 120, *, seed: int = 0, held_out: int = 40) -> Dataset:
    """Return a dataset of ``train`` (that many rows), ``validation`` and ``test`` (`held_out` rows each)."""
    from modwright.data.dataset import make_dataset

    sizes = {"train": number, "validation": held_out, "test": held_out}
    splits = {name: _frame(name, size, seed + part) for part, (name, size) in enumerate(sizes.items())}
    return make_dataset(TINY_SCHEMA, splits, {"sources": [], "steps": []})


def _frame(split: str, number: int, seed: int) -> Any:
    from modwright.data.columnar import pl
    from modwright.data.tables import MESSAGES_TYPE

    texts = tiny_texts(number, seed=seed * 1000 + 7)
    nothing = [None] * number
    columns = {
        "id": pl.Series([f"{split}-{row}" for row in range(number)], dtype=pl.String),
        "text": pl.Series(texts, dtype=pl.String),
        "messages": pl.Series(nothing, dtype=MESSAGES_TYPE),
        "weight": pl.Series([1.0] * number, dtype=pl.Float64),
        "group": pl.Series(nothing, dtype=pl.String),
        "source": pl.Series([f"tiny:{row + 1}" for row in range(number)], dtype=pl.String),
    }
    labels = tiny_labels(texts)
    for target in TINY_SCHEMA.targets:
        for place, label in enumerate(target.labels):
            columns[f"{target.name}/{label}"] = pl.Series(labels[target.name][:, place], dtype=pl.Float64)
    return pl.DataFrame(columns)


def tiny_recipe(base: Path | str = "tiny", *overrides: str) -> FrozenRecipe:
    """Return the recipe `fast` with that base and everything small; `overrides` as on the command line."""
    small = (
        f"bases=[{{name={json.dumps(str(base))}, layers=[0, 1]}}]",
        "window.min_tokens=16",
        "window.max_tokens=16",
        "head.c=[1.0, 16.0]",
        "head.gamma=[0.5]",
        "head.folds=3",
        "head.max_landmarks=100",
        "training.training_steps=60",
        "evaluation.resamples=20",
    )
    recipe = load_recipe("fast", [*small, *overrides])
    assert isinstance(recipe, FrozenRecipe)
    return recipe


def tiny_encoder_recipe(base: Path | str = "tiny", *overrides: str) -> EncoderRecipe:
    """Return the recipe `balanced` with that base and everything small; `overrides` as on the command line."""
    small = (
        f"base.name={json.dumps(str(base))}",
        "window.min_tokens=16",
        "window.max_tokens=16",
        "optimizer.learning_rate=1e-3",
        "optimizer.head_learning_rate=1e-2",
        "training.epochs=3",
        "training.precision=float32",
        "batches.rows=8",
        "validation.folds=2",
        "evaluation.resamples=20",
    )
    recipe = load_recipe("balanced", [*small, *overrides])
    assert isinstance(recipe, EncoderRecipe)
    return recipe


def tiny_causal_recipe(base: Path | str = "tiny", *overrides: str) -> CausalRecipe:
    """Return the recipe `llm` with that base and everything small; `overrides` as on the command line."""
    small = (
        f"base.name={json.dumps(str(base))}",
        'prompt.instructions="judge [{labels}]"',
        'prompt.separator="\\n<cut>\\n"',
        'prompt.text="{text}"',
        'prompt.answer="so:"',
        'prompt.question="{label}"',
        "adapter.rank=4",
        "window.min_tokens=16",
        "window.max_tokens=16",
        "optimizer.learning_rate=1e-2",
        "optimizer.head_learning_rate=1e-2",
        "training.epochs=3",
        "training.precision=float32",
        "batches.rows=8",
        "evaluation.resamples=20",
    )
    recipe = load_recipe("llm", [*small, *overrides])
    assert isinstance(recipe, CausalRecipe)
    return recipe


@dataclass(slots=True)
class WordClassifier:
    """A deterministic classifier that scores windows of `window_chars` characters by their words.

    A label scores 0.9 where one of its words occurs and 0.1 elsewhere; a negative label, and the label of a
    single-label target that has no words, is the opposite of the others. `batches` keeps the sizes of its
    calls.
    """

    schema: Schema = TINY_SCHEMA
    words: Mapping[str, Sequence[str]] = field(default_factory=lambda: _words_of_labels())
    window_chars: int = 100
    batches: list[int] = field(default_factory=list)

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score inputs; see `modwright.schema.Classifier`."""
        self.batches.append(len(inputs))
        size = self.window_chars
        lengths = np.array([len(value[-1].content) for value in inputs], dtype=np.int64)
        windows = np.maximum(1, -(-lengths // size))
        starts = np.cumsum(windows) - windows
        values, spans = {}, {}
        for target in self.schema.targets:
            values[target.name] = np.zeros((len(inputs), len(target.labels)))
            spans[target.name] = np.zeros((len(inputs), len(target.labels), 2), dtype=np.int64)
            scores = [
                self._score(target, value[-1].content[at * size : (at + 1) * size])
                for value, number in zip(inputs, windows, strict=True)
                for at in range(number)
            ]
            if not scores:
                continue
            values[target.name], deciding = combine(target, np.asarray(scores), starts, SingleLabelRule.WORST)
            begins = (deciding - starts[:, None]) * size
            spans[target.name] = np.stack([begins, np.minimum(begins + size, lengths[:, None])], axis=2)
        return Scores(values, windows, spans)

    def _score(self, target: Target, text: str) -> list[float]:
        found = set(re.findall(r"\w+", text.lower()))
        told = {
            place: 0.9 if found & set(self.words.get(target.labels[place], ())) else 0.1
            for place in _told(target)
        }
        rest = 1.0 - max(told.values())
        scores = [told.get(place, rest) for place in range(len(target.labels))]
        if target.kind is TargetKind.SINGLE_LABEL:
            return [score / sum(scores) for score in scores]
        return scores

    def save(self, folder: Path) -> None:
        """Refuse: there is nothing to save."""
        raise UsageError("a WordClassifier cannot be saved", where=str(folder))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        """Refuse: there is nothing to load."""
        raise UsageError("a WordClassifier cannot be loaded", where=str(folder))


def _told(target: Target) -> list[int]:
    """Return the places of the labels that words decide."""
    return [target.index(label) for label in target.flaggable or target.labels]


def _words_of_labels() -> dict[str, Sequence[str]]:
    return {**LABEL_WORDS, "rude": [word for group in LABEL_WORDS.values() for word in group]}
