"""A sequence classifier that was trained elsewhere in, an artifact that evaluates and serves out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modwright import artifact as layout
from modwright.artifact import Artifact, BaseIdentity
from modwright.catalog import BaseFolder, Progress, fetch_base
from modwright.catalog.weights import weight_files
from modwright.errors import IntegrityError, UsageError
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.decisions import Decisions
from modwright.evaluation.thresholds import OperatingPoint
from modwright.files import link_or_copy, refuse_unfit, sha256_file, staged_folder
from modwright.models.encoder import CLASSIFIER_FILE, EncoderClassifier, write_layout
from modwright.models.encoder_inputs import InputRule
from modwright.models.joined_inputs import JoinedRule
from modwright.models.normalise import Normaliser
from modwright.models.normalised import normalised
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.pipeline.import_card import imported_card
from modwright.pipeline.published import Published, read_published, target_of
from modwright.pipeline.verify import verify_reload
from modwright.pipeline.writing import Parts, probe, write_artifact
from modwright.recipe import AS_PAIR, ImportRecipe, load_import_recipe
from modwright.schema import (
    MODERATION_TARGET,
    Classifier,
    Input,
    Schema,
    Target,
    TargetKind,
    pair_input,
    text_input,
)
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine
from modwright.settings import Settings
from modwright.training.events import Event, Stage, Warned

#: Largest difference of a score from what transformers' own pipeline says.
TOLERANCE = 1e-4
#: A graph holds float32 weights in one file, and protobuf writes less than 2 GiB. What is larger runs in torch.
LARGEST_GRAPH_BYTES = 2_000_000_000
#: What a dataset's id is where nobody knows the rows.
UNKNOWN_DATASET = "unknown"
AS_PUBLISHED = "given on import; nothing was measured"
_FLOAT32_BYTES = 4
_COMPARED = ("You are a silly goose.", "The library opens at ten on Sunday, near the quiet river.", "Honk!")
_PAIRS = (
    ("Why do geese honk?", "To talk to each other."),
    ("Tell me a joke.", "A goose walks into a library."),
)


@dataclass(frozen=True, slots=True)
class ImportedLabels:
    """What the answers are called.

    Attributes:
        target: name of the question.
        kind: None takes what the model says of itself.
        negative: labels that say "nothing wrong"; empty takes `safe` where it occurs.
        renames: the model's label to a better name.
        schema: names all labels, in the order of the model's logits.
    """

    target: str = MODERATION_TARGET
    kind: TargetKind | None = None
    negative: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    schema: Schema | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of an import.

    Attributes:
        folder: of the artifact.
        published: what the model said of itself.
        target: what its answers are called now.
        window_tokens: the longest window.
        drift: largest difference of a score from transformers' own.
        notes: what the user should look at.
    """

    folder: Path
    artifact: Artifact
    published: Published
    target: Target
    window_tokens: int
    drift: float
    notes: tuple[str, ...]


def import_model(
    name: str,
    out: Path,
    labels: ImportedLabels,
    settings: Settings,
    *,
    overrides: Sequence[str] = (),
    on_event: Callable[[Event], None],
    progress: Progress | None = None,
    replace: bool = False,
) -> ImportResult:
    """Turn a folder or hub id with a transformers sequence classifier into an artifact folder.

    Its head, labels and tokenizer stay what they are. The graph is compared with torch at several shapes, the finished
    classifier with what transformers says of the same texts, and a fresh process with both. A decoder that is too large
    for a graph keeps its weights as they lie on disk and is run by torch: an artifact of the family `causal`.

    Raises:
        UsageError: no classifier, pickled weights, weights that are missing, labels whose kind cannot be known, or an
            encoder that is too large for a graph.
        SchemaError, RecipeError, NotFoundError, SourceError, MissingExtraError: as the stages raise them.
        IntegrityError: graph or tokenizer do not give what transformers gives.
    """
    recipe = load_import_recipe([*overrides, f"base.name={_quoted(name)}"])
    refuse_unfit(out, replace=replace, only=layout.MANIFEST)
    on_event(Stage(f"model {name}", 0, 1))
    found = fetch_base(name, settings, progress=progress)
    published = read_published(found.path)
    target = target_of(
        published,
        name=labels.target,
        kind=labels.kind,
        negative=labels.negative,
        renames=labels.renames,
        named=labels.schema,
    )
    schema = Schema((target,))
    tokens = min(recipe.window.max_tokens, found.max_tokens, found.max_positions)
    with tempfile.TemporaryDirectory(prefix="modwright-") as work:
        classifier, drift = _convert(found, Path(work), schema, recipe, tokens, settings.threads, on_event)
        tokenizer_sha256 = sha256_file(Path(work) / layout.TOKENIZER / TOKENIZER_FILE)
        identity = BaseIdentity(
            found.name.replace("/", "--"), found.weights_sha256, tokenizer_sha256, found.licence
        )
        parts = _parts(recipe, classifier, identity, out.name, published, found)
        with staged_folder(out, replace=replace, only=layout.MANIFEST) as staging:
            artifact = write_artifact(staging, parts)
            on_event(Stage("reload in a fresh process"))
            verify_reload(staging, _engine(parts), probe(_probed()))
    notes = _notes(published, target)
    for note in notes:
        on_event(Warned(note))
    return ImportResult(out, artifact, published, target, tokens, drift, notes)


def _convert(
    found: BaseFolder,
    work: Path,
    schema: Schema,
    recipe: ImportRecipe,
    tokens: int,
    threads: int,
    on_event: Callable[[Event], None],
) -> tuple[Classifier, float]:
    """Return the classifier, its parts below a folder, and its largest difference from transformers' own scores."""
    from modwright.models.foreign import PublishedLogits, load_published, write_tokenizer

    on_event(Stage("load with transformers"))
    model = load_published(found.path)
    tokenizer = write_tokenizer(found.path, work / layout.TOKENIZER / TOKENIZER_FILE)
    module = PublishedLogits(model, tokenizer.model_input_names).eval()
    rule, most = _rule(recipe, tokens), recipe.serving.max_batch_tokens
    graph_bytes = _FLOAT32_BYTES * sum(weight.numel() for weight in model.parameters())
    if graph_bytes <= LARGEST_GRAPH_BYTES:
        on_event(Stage("export the graph and compare it with torch"))
        _export(module, found, work)
        write_layout(work, schema, rule, most)
        classifier: Classifier = EncoderClassifier.load(work, schema, threads=threads, bulk=True)
    elif module.pools_last:
        classifier = _decoder(model, found, work, schema, rule, most)
    else:
        raise UsageError(
            f"its graph would take {graph_bytes / 1e9:.1f} GB, and {LARGEST_GRAPH_BYTES / 1e9:g} GB is the most that a "
            "graph in one file holds",
            where=str(found.path),
            remedy="bring a smaller model; decoders with a linear head `score` need no graph",
        )
    on_event(Stage("compare with transformers"))
    return classifier, _compared(classifier, recipe, model, tokenizer, tokens)


def _export(module: Any, found: BaseFolder, work: Path) -> None:
    from modwright.models.export_encoder import export_classifier

    config, graph = module.model.config, work / layout.SERVING / CLASSIFIER_FILE
    export_classifier(module, graph, config=config, takes_types=module.takes_types)
    for file in ("config.json", *weight_files(found.path)):
        link_or_copy(found.path / file, work / layout.MODEL / file)


def _decoder(
    model: Any, found: BaseFolder, work: Path, schema: Schema, rule: InputRule, max_batch_tokens: int
) -> Classifier:
    """Return a classifier that torch runs, over the weights as they lie there."""
    from modwright.models.published_decoder import PublishedDecoder

    path = work / layout.TOKENIZER / TOKENIZER_FILE
    model.set_attn_implementation("sdpa")
    return PublishedDecoder(
        schema, Tokenizer(path, literal=True), model, rule, max_batch_tokens, found.path, path
    )


def _rule(recipe: ImportRecipe, tokens: int) -> InputRule:
    window = WindowRule(
        tokens, recipe.window.overlap, SingleLabelRule(recipe.window.single_label), tuple(recipe.window.edges)
    )
    share, pair = recipe.window.context_share, recipe.input.pair
    return InputRule(window, share) if pair == AS_PAIR else JoinedRule(window, share, pair)


def _compared(classifier: Classifier, recipe: ImportRecipe, model: Any, tokenizer: Any, tokens: int) -> float:
    from modwright.models.foreign import published_scores

    (target,) = classifier.schema.targets
    texts: list[Any] = list(_COMPARED)
    inputs: list[Input] = [text_input(text) for text in _COMPARED]
    for prompt, response in _PAIRS:
        inputs.append(pair_input(prompt, response))
        template = recipe.input.pair
        joined = template.replace("{prompt}", prompt).replace("{response}", response)
        texts.append((prompt, response) if template == AS_PAIR else joined)
    short = [
        place
        for place, text in enumerate(texts)
        if len(tokenizer(*([text] if isinstance(text, str) else text))["input_ids"]) <= tokens
    ]
    expected = published_scores(
        model,
        tokenizer,
        [texts[place] for place in short],
        independent=target.kind is TargetKind.MULTI_LABEL,
    )
    ours = classifier.predict_proba([inputs[place] for place in short]).values[target.name]
    drift = float(np.abs(ours - expected).max(initial=0.0))
    if not drift <= TOLERANCE:
        raise IntegrityError(
            f"a score differs by {drift:.2g} from what transformers says; {TOLERANCE:g} is allowed",
            remedy="report this model with the versions of torch and transformers",
        )
    return drift


def _parts(
    recipe: ImportRecipe,
    classifier: Classifier,
    identity: BaseIdentity,
    name: str,
    published: Published,
    found: BaseFolder,
) -> Parts:
    (target,) = classifier.schema.targets
    multi = target.kind is TargetKind.MULTI_LABEL
    thresholds = dict.fromkeys(target.flaggable if multi else (), recipe.decision.threshold)
    point = OperatingPoint(DEFAULT_OPERATING_POINT, AS_PUBLISHED, {target.name: thresholds})
    decisions = Decisions({target.name: TargetCalibration.identity(target)}, {point.name: point})
    return Parts(
        family="encoder" if isinstance(classifier, EncoderClassifier) else "causal",
        recipe=recipe,
        classifier=normalised(classifier, Normaliser(tuple(recipe.normalise.steps))),
        bases=(identity,),
        decisions=decisions,
        evaluations={},
        dataset_id=UNKNOWN_DATASET,
        card=imported_card(name, classifier.schema, identity, recipe, published, found.hub, decisions),
    )


def _engine(parts: Parts) -> Engine:
    return Engine.of("in import", parts.classifier, parts.decisions)


def _probed() -> list[Input]:
    return [*(text_input(text) for text in _COMPARED), *(pair_input(*pair) for pair in _PAIRS)]


def _notes(published: Published, target: Target) -> tuple[str, ...]:
    notes = []
    if all(label.startswith("LABEL_") for label in target.labels):
        notes.append("the model's labels have no names; give --rename LABEL_0=NAME for each")
    if target.kind is TargetKind.SINGLE_LABEL and not target.negative_labels:
        notes.append(
            f"every text will be flagged with one of {', '.join(target.labels)}; name the harmless one with --negative"
        )
    if published.problem_type is not None and not published.problem_type.startswith(target.kind):
        notes.append(f"config.json says {published.problem_type}, it was brought in as {target.kind}")
    return tuple(notes)


def _quoted(name: str) -> str:
    import json

    return json.dumps(name)
