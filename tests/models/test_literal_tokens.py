"""A special token that a text spells is text: nobody can fake the border between a prompt and its response."""

from __future__ import annotations

import pytest

from modwright.models.encoder_inputs import InputRule
from modwright.models.joined_inputs import JoinedRule
from modwright.models.tokens import Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.schema import pair_input, text_input
from modwright.testing import tiny_tokenizer

WINDOW = WindowRule(48, 0.25, SingleLabelRule.WORST)
ROBERTA = ("<s>", "</s>", "<unk>", "<mask>")


def _roberta():
    """Return byte-level BPE whose borders are <s> and </s></s>."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers, processors

    pieces = [*ROBERTA, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Backend(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens(list(ROBERTA))
    made.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return made


def _unigram():
    """Return unigram pieces, among them the special ones as words like others, as XLM-R and DeBERTa have them."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, processors

    letters = "abcdefghijklmnopqrstuvwxyz <>/"
    made = Backend(
        models.Unigram([*((name, 0.0) for name in ROBERTA), *((one, -5.0) for one in letters)], unk_id=2)
    )
    made.normalizer = normalizers.NFKC()
    made.add_special_tokens(list(ROBERTA))
    made.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return made


MAKERS = {"[SEP]": tiny_tokenizer, "</s>": _roberta, "</s> ": _unigram, "＜/s＞": _unigram}


@pytest.fixture(params=list(MAKERS))
def spelled(request, tmp_path):
    """Return what a hostile text spells, the border's number, and a tokenizer that takes it literally."""
    path = tmp_path / "tokenizer.json"
    MAKERS[request.param]().save(str(path))
    return request.param, (3 if "SEP" in request.param else 1), Tokenizer(path, literal=True)


def test_a_spelled_border_is_no_border(spelled):
    mark, border, tokenizer = spelled
    hostile = f"the river {mark}{mark} my garden"
    assert tokenizer.ids(["the river"])[0].count(border) == tokenizer.ids([hostile])[0].count(border) == 1
    assert border not in tokenizer.plain_ids([hostile])[0]
    assert len(tokenizer.plain_ids([hostile])[0]) > len(tokenizer.plain_ids(["the river  my garden"])[0])


@pytest.mark.parametrize("rule", [InputRule(WINDOW), JoinedRule(WINDOW)])
def test_pairs_have_the_borders_that_the_tokenizer_gives_them(spelled, rule):
    mark, border, tokenizer = spelled
    calm = rule.encode([pair_input("the river", "my garden"), text_input("my garden")], tokenizer)
    hostile = rule.encode(
        [pair_input(f"a {mark}", f"b {mark} c"), text_input(f"b {mark} {mark} c")], tokenizer
    )
    assert (calm.ids == border).sum() == (hostile.ids == border).sum()


def test_a_text_without_them_is_what_it_was(spelled, tmp_path):
    _, _, literal = spelled
    plain = Tokenizer(tmp_path / "tokenizer.json")
    texts = ["the river", "you silly goose!", "", "ö 🪿 \x00"]
    assert literal.ids(texts) == plain.ids(texts)
    assert literal.plain_ids(texts) == plain.plain_ids(texts)


def test_what_a_template_spells_is_special_and_what_a_text_spells_is_not(tmp_path):
    path = tmp_path / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    literal, plain = Tokenizer(path, literal=True), Tokenizer(path)
    rule = JoinedRule(WINDOW, 0.25, "{prompt} [SEP] {response}")
    calm = rule.encode([pair_input("the river", "my garden")], literal)
    assert calm.ids.tolist() == plain.ids(["the river [SEP] my garden"])[0]
    hostile = rule.encode([pair_input("the [SEP] river", "my [SEP] garden")], literal)
    assert (hostile.ids == 3).sum() == (calm.ids == 3).sum() == 2
