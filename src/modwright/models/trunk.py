"""A pretrained encoder with one head per target, as a torch module: any encoder that transformers' AutoModel reads.

Pooled states are brought to length 1, as the embeddings of the family `frozen` are, so that a logistic regression on them
is a head as it stands.
"""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any, Literal

from modwright.errors import MissingExtraError, RecipeError, SourceError
from modwright.schema import IntArray

try:
    import torch
    from torch import nn
except ImportError:
    raise MissingExtraError("train", "fine-tuning an encoder (torch is missing)") from None

#: What the architectures call the share of hidden states, and of attention weights, that training drops.
_DROPOUTS = ("hidden_dropout_prob", "dropout", "hidden_dropout", "embedding_dropout", "mlp_dropout")
_ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout")
#: Largest difference of a state between an encoder run whole and run in two parts.
_SAME = 1e-4
#: What an encoder may have above its states; nothing is read from it.
_UNUSED = "pooler."


def load_trunk(folder: Path, *, dropout: float = 0.0, attention_dropout: float = 0.0) -> Any:
    """Return an encoder's module in float32, with plain attention (much faster to train on CPUs) and these dropouts.

    Raises:
        SourceError: transformers cannot load the folder, or the folder lacks weights of the encoder.
        MissingExtraError: transformers is not installed.
    """
    try:
        from transformers import AutoConfig, AutoModel
        from transformers.utils import logging as transformers_logging
    except ImportError:
        raise MissingExtraError("train", "loading an encoder (transformers is missing)") from None
    transformers_logging.disable_progress_bar()
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # weights of a pretraining head that are left out are no news
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        for names, share in ((_DROPOUTS, dropout), (_ATTENTION_DROPOUTS, attention_dropout)):
            for name in names:
                if isinstance(getattr(config, name, None), float | int):
                    setattr(config, name, share)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # an unused pooler that a base lacks is drawn: always the same one
            trunk, found = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                attn_implementation="eager",
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"transformers cannot load this base: {error}", where=str(folder)) from None
    finally:
        transformers_logging.set_verbosity(before)
    if lacking := sorted(name for name in found["missing_keys"] if not name.startswith(_UNUSED)):
        raise SourceError(
            f"lacks {len(lacking)} weights of the encoder that its config describes, the first is '{lacking[0]}'",
            where=str(folder),
            remedy="they would be random; bring the whole model.safetensors, under the names that transformers saves",
        )
    return trunk


class EncoderModel(nn.Module):  # type: ignore[misc]  # torch's types are not followed
    """A trunk, a pooling and the heads of all targets, side by side in one matrix.

    Args:
        trunk: of `load_trunk`.
        labels: columns of logits, over all targets.
        pooling: "mean" over the tokens of the mask, or the state of the first ("cls").
        dropout: share of pooled features that training drops.
    """

    def __init__(
        self, trunk: Any, labels: int, pooling: Literal["mean", "cls"], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(trunk.config.hidden_size), labels)
        self.takes_types = takes_types(trunk)

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        """Return logits (N, L) float32 of ids, mask and, where the trunk takes them, types (N, T)."""
        given = {"token_type_ids": token_type_ids} if self.takes_types and token_type_ids is not None else {}
        states = self.trunk(input_ids=input_ids, attention_mask=attention_mask, **given).last_hidden_state
        return self.logits(self.pooled(states, attention_mask))

    def pooled(self, states: Any, mask: Any) -> Any:
        """Return (N, D) float32 of length 1, of states (N, T, D) and their mask (N, T)."""
        states = states.float()
        if self.pooling == "cls":
            return nn.functional.normalize(states[:, 0], dim=-1)
        weight = mask.unsqueeze(-1).to(states.dtype)
        return nn.functional.normalize((states * weight).sum(dim=1) / weight.sum(dim=1), dim=-1)

    def logits(self, pooled: Any) -> Any:
        """Return (N, L) float32 of pooled features, whatever the arithmetic around: heads are small, sums are not."""
        if not torch.is_autocast_enabled(pooled.device.type):
            return self.head(self.dropout(pooled))
        with torch.autocast(pooled.device.type, enabled=False):
            return self.head(self.dropout(pooled.float()))


def takes_types(trunk: Any) -> bool:
    """Return whether an encoder tells two kinds of tokens apart."""
    named = "token_type_ids" in inspect.signature(trunk.forward).parameters
    return named and int(getattr(trunk.config, "type_vocab_size", 0) or 0) > 1


def layers_of(trunk: Any) -> tuple[str, Any]:
    """Return the name and the list of an encoder's layers; an empty one where it shares them or hides them."""
    wanted = int(getattr(trunk.config, "num_hidden_layers", 0) or 0)
    for name, module in trunk.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted:
            return name, module
    return "", nn.ModuleList()


def embeddings_of(trunk: Any) -> tuple[str, Any]:
    """Return the name and the module below the trunk that holds the word embeddings."""
    words = trunk.get_input_embeddings()
    for name, module in trunk.named_children():
        if any(inner is words for inner in module.modules()):
            return name, module
    return "", words


def freeze(trunk: Any, *, embeddings: bool, layers: int) -> None:
    """Leave the embeddings, and that many of the lowest layers, as they are; and a pooler, which is not used.

    What the lowest layers share with the upper ones, such as MPNet's relative positions, stays as it is, too: else they
    would change with it.

    Raises:
        RecipeError: more layers than there are.
    """
    _, stack = layers_of(trunk)
    if layers > len(stack):
        raise RecipeError(
            f"freeze_layers is {layers}, this base has {len(stack)} layers of its own",
            where="base.freeze_layers",
        )
    frozen = [*stack[:layers], *([embeddings_of(trunk)[1]] if embeddings else [])]
    pooler = getattr(trunk, "pooler", None)
    for module in [*frozen, *([pooler] if pooler is not None else [])]:
        module.requires_grad_(False)
    if layers:
        below = {id(weight) for weight in embeddings_of(trunk)[1].parameters()}
        for weight in _read_by(trunk, stack[layers - 1]):
            if id(weight) not in below:
                weight.requires_grad_(False)


def _read_by(trunk: Any, layer: Any) -> list[Any]:
    """Return the trainable weights that a layer's states depend on; that is tried on a batch."""
    weights = [weight for weight in trunk.parameters() if weight.requires_grad]
    if not weights:
        return []
    given: list[Any] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, states: given.append(states))
    training = trunk.training
    trunk.eval()
    try:
        with torch.enable_grad():
            trunk(**_tried(trunk))
            states = given[0][0] if isinstance(given[0], tuple) else given[0]
            if not states.requires_grad:
                return []
            gradients = torch.autograd.grad(states.sum(), weights, allow_unused=True)
    finally:
        hook.remove()
        trunk.train(training)
    return [weight for weight, gradient in zip(weights, gradients, strict=True) if gradient is not None]


def _tried(trunk: Any) -> dict[str, Any]:
    """Return a small batch that an encoder can be tried on: two rows, the second with padding."""
    ids = torch.arange(1, 11).reshape(2, 5)
    mask = torch.tensor([[1] * 5, [1] * 3 + [0] * 2])
    device = next(trunk.parameters()).device
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def compute_twice(trunk: Any) -> None:
    """Keep no activations inside layers: they are computed again for the gradient."""
    how = {"use_reentrant": False}
    if hasattr(trunk, "activation_checkpointing_enable"):  # its name in later versions of transformers
        trunk.activation_checkpointing_enable(activation_checkpointing_kwargs=how)
    else:
        trunk.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)


class Halves:
    """An encoder as two that share its weights: up to a layer, and from there on.

    What the lower one gives for a text stays the same while it is frozen, so that it is computed once.
    """

    def __init__(self, trunk: Any, at: int) -> None:
        self._given = _Given()
        embeddings, _ = embeddings_of(trunk)
        path, stack = layers_of(trunk)
        self._lower = _with(trunk, path, nn.ModuleList(stack[:at]))
        self._upper = _with(_with(trunk, path, nn.ModuleList(stack[at:])), embeddings, self._given)

    def lower(self, batch: dict[str, Any]) -> Any:
        """Return the states (N, T, D) after the lower layers, of what the trunk is called with."""
        return self._lower(**batch).last_hidden_state

    def upper(self, states: Any, batch: dict[str, Any]) -> Any:
        """Return the last states (N, T, D) of those after the lower layers."""
        self._given.states = states
        return self._upper(**batch).last_hidden_state


class _Given(nn.Module):  # type: ignore[misc]
    """Stands where embeddings are computed, and gives states that are there already."""

    states: Any = None

    def forward(self, *_: Any, **__: Any) -> Any:
        return self.states


def split(trunk: Any, at: int) -> Halves | None:
    """Return an encoder's two halves, or None where it cannot be run in two; that is tried on a batch."""
    if at < 1 or not embeddings_of(trunk)[0] or not layers_of(trunk)[0]:
        return None
    halves = Halves(trunk, at)
    batch = _tried(trunk)
    training = trunk.training
    trunk.eval()
    try:
        with torch.inference_mode():
            whole = trunk(**batch).last_hidden_state
            parts = halves.upper(halves.lower(batch), batch)
            kept = batch["attention_mask"].bool()
            same = whole.shape == parts.shape and float((whole - parts)[kept].abs().max()) <= _SAME
    except (RuntimeError, TypeError, AttributeError, ValueError, IndexError):
        same = False
    finally:
        trunk.train(training)
    return halves if same else None


def _with(module: Any, path: str, part: Any) -> Any:
    """Return a module that shares everything with another but the part at a path."""
    first, _, rest = path.partition(".")
    shared = copy.copy(module)
    shared.__dict__["_modules"] = dict(module._modules)
    shared._modules[first] = _with(module._modules[first], rest, part) if rest else part
    return shared


def tensors(batch: tuple[IntArray, IntArray, IntArray], device: Any, *, types: bool) -> dict[str, Any]:
    """Return ids, mask and, if wanted, types (N, T) as what a trunk is called with."""
    ids, mask, kinds = (torch.from_numpy(part).to(device) for part in batch)
    given = {"input_ids": ids, "attention_mask": mask}
    return given | {"token_type_ids": kinds} if types else given
