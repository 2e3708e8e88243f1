"""What a tokenizer puts around texts is learnt once, and the ids are those that the library itself gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.models.encoder_inputs import InputRule
from modwright.models.joined_inputs import JoinedRule
from modwright.models.tokens import Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.schema import pair_input
from modwright.testing import NEUTRAL_WORDS, tiny_byte_tokenizer, tiny_tokenizer


def _processed(processor):
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processor
    return tokenizer


def _forms():
    """Return tokenizers with pair templates and types, without types, without templates, and with the pair reversed."""
    from tokenizers import processors

    ends = (("[SEP]", 3), ("[CLS]", 2))
    reversed_pair = processors.TemplateProcessing(
        single="[CLS] $A", pair="$B:1 [SEP] $A", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return {
        "template": tiny_tokenizer(),
        "roberta": _processed(processors.RobertaProcessing(*ends)),
        "bert": _processed(processors.BertProcessing(*ends)),
        "none": tiny_byte_tokenizer(),
        "bytes": _processed(processors.ByteLevel()),
        "reversed": _processed(processors.Sequence([processors.ByteLevel(), reversed_pair])),
    }


@pytest.fixture(scope="module", params=["template", "roberta", "bert", "none", "bytes", "reversed"])
def both(request, tmp_path_factory):
    """Return the library's tokenizer and ours."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    library = _forms()[request.param]
    library.no_truncation()
    library.no_padding()
    library.save(str(path))
    return library, Tokenizer(path)


texts = st.lists(st.sampled_from([*NEUTRAL_WORDS, "ö", "🪿", ".", "\x00"]), max_size=12).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(texts, texts, st.one_of(st.none(), st.integers(0, 24)))
def test_composed_ids_are_those_of_the_library(both, context, last, most):
    library, ours = both
    first, second = (library.encode(text, add_special_tokens=False) for text in (context, last))
    alone = library.post_process(second)
    tokens, before = ours.plain_ids([last, context])
    assert ours.joined(tokens) == (alone.ids, alone.type_ids)
    if most is not None:
        room = max(0, most - library.num_special_tokens_to_add(True) - len(second))
        if room < len(first):
            first.truncate(room, direction="left")
    whole = library.post_process(first, second)
    found = ours.joined(tokens, before, most)
    assert found[0] == whole.ids
    if first.ids and second.ids:  # without one of the two there is no border for types to tell
        assert found[1] == whole.type_ids


class Counting(Tokenizer):
    """Counts the tokens that it makes."""

    made = 0

    def plain_ids(self, texts):
        """Count."""
        found = super().plain_ids(texts)
        self.made += sum(map(len, found))
        return found

    def lengths(self, texts):
        """Count."""
        found = super().lengths(texts)
        self.made += sum(found)
        return found

    def spans(self, texts):
        """Count."""
        found = super().spans(texts)
        self.made += sum(map(len, found))
        return found


def _work(path, rule, words):
    tokenizer = Counting(path)
    text = " ".join(["river"] * words)
    rule.encode([pair_input(text, text)], tokenizer)
    return tokenizer.made


@pytest.mark.parametrize("kind", [InputRule, JoinedRule])
def test_work_grows_as_the_pair_does(tmp_path, kind):
    """Four times as long a context and response are four times the tokens, not sixteen times."""
    path = tmp_path / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    rule = kind(WindowRule(32, 0.25, SingleLabelRule.WORST))
    small, large = _work(path, rule, 1000), _work(path, rule, 4000)
    assert large <= 4.5 * small
