"""Datasets as hypothesis draws them: every kind of input, label and other column, and awkward names."""

from __future__ import annotations

from hypothesis import strategies as st

from modwright.data.assemble import context_groups
from modwright.data.columnar import pl
from modwright.data.dataset import make_dataset
from modwright.data.tables import MESSAGES_TYPE
from modwright.schema import Schema, Target, TargetKind

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\u2028", 'a"b', "a\nb", "a\r\nb", "\r", ",", "\x85", " ", "null", "\ufeff", "'", "\\", "[]", "😀"]
)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/"),
    min_size=1,
    max_size=4,
)
EXTRAS = st.dictionaries(
    NAMES | st.sampled_from(["labels", "label", "prompt", "response", "text_", "a/b", "group_"]),
    st.sampled_from([pl.String, pl.Int64, pl.Float64, pl.Boolean]),
    max_size=3,
)
SHARES = st.sampled_from([0.0, 1.0]) | st.floats(0, 1, allow_subnormal=True).map(abs)
VALUES = {
    pl.String: TEXTS,
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Float64: st.floats(allow_nan=False, allow_infinity=False),
    pl.Boolean: st.booleans(),
}


@st.composite
def targets(draw, name):
    names = draw(st.lists(NAMES.filter(lambda label: label.strip()), min_size=2, max_size=4, unique=True))
    kind = draw(st.sampled_from(list(TargetKind)))
    return Target.create(name, kind, names, draw(st.sets(st.sampled_from(names), max_size=1)))


def multi_row(draw, target, soft):
    if soft:
        return [draw(st.none() | SHARES) for _ in target.labels]
    return [draw(st.sampled_from([0.0, 1.0])) for _ in target.labels]


def single_row(draw, target, soft):
    chosen = draw(st.integers(0, len(target.labels) - 1))
    row = [float(place == chosen) for place in range(len(target.labels))]
    if soft and draw(st.booleans()):
        share = draw(st.floats(0.01, 0.99))
        row[chosen], row[chosen - 1] = share, 1.0 - share
    return [None] * len(row) if soft and draw(st.integers(0, 4)) == 0 else row


@st.composite
def frames(draw, schema, split, soft, conversations, extras, strings):
    number = draw(st.integers(1, 5))
    turns = st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": strings}),
        min_size=1, max_size=3,
    )  # fmt: skip
    talks = [draw(turns) if conversations and draw(st.booleans()) else None for _ in range(number)]
    texts = [None if talk is not None else draw(strings) for talk in talks]
    messages = pl.Series(talks, dtype=MESSAGES_TYPE)
    groups = context_groups(messages)
    if draw(st.integers(0, 3)) == 0:
        own = st.none() | st.sampled_from(["07", "joined-1"]) | strings
        groups = pl.Series([draw(own) for _ in range(number)], dtype=pl.String)
    columns = {
        "id": [
            f"{split}-{row}" if draw(st.booleans()) else f"k{row}{draw(strings)}" for row in range(number)
        ],
        "text": pl.Series(texts, dtype=pl.String),
        "messages": messages,
        "weight": [draw(st.sampled_from([1.0, 0.1, 3.0]) | st.floats(0, 1e9)) + 0.0 for _ in range(number)],
        "group": groups,
        "source": [f"f:{row}" for row in range(number)],
    }
    for target in schema.targets:
        make = multi_row if target.kind is TargetKind.MULTI_LABEL else single_row
        rows = [make(draw, target, soft) for _ in range(number)]
        for place, label in enumerate(target.labels):
            columns[f"{target.name}/{label}"] = pl.Series([row[place] for row in rows], dtype=pl.Float64)
    for name, dtype in extras.items():
        while name in columns:
            name += "_"
        value = VALUES[dtype] if dtype != pl.String else strings
        columns[name] = pl.Series([draw(st.none() | value) for _ in range(number)], dtype=dtype)
    return pl.DataFrame(columns)


@st.composite
def datasets(draw, soft=True, most_targets=2, extras=EXTRAS, strings=TEXTS):
    schema = Schema(tuple(draw(targets(name)) for name in ("t", "u")[: draw(st.integers(1, most_targets))]))
    talks, others = draw(st.booleans()), draw(extras)
    splits = {
        split: draw(frames(schema, split, soft, talks, others, strings))
        for split in draw(st.sampled_from([("train",), ("train", "test")]))
    }
    return make_dataset(schema, splits, {"sources": [], "steps": []})
