"""Markdown of users' texts stays text: no table is broken, nothing becomes a link, a mention or markup."""

from __future__ import annotations

import pytest

from modwright.render.markdown import plain, table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b", "a \\| b"),
        ("<script>", "\\<script\\>"),
        ("[x](y) `z` *w*", "\\[x\\](y) \\`z\\` \\*w\\*"),
        ("two\nlines", "two lines"),
        ("abc\u202edcba", "abc⟨U+202E⟩dcba"),
        ("see https://example.org", "see https\u200b://example.org"),
        ("@everyone #1", "@\u200beveryone #\u200b1"),
        ("out_of_fold 5 %", "out_of_fold 5 %"),
        ("_all_ __init__ tail_", "\\_all\\_ \\_\\_init\\_\\_ tail\\_"),
        ("&lt;b&gt; a & b &#62;", "\\&lt;b\\&gt; a & b \\&#\u200b62;"),
        (" 1\u202f000 \t rows\u2028", "1\u202f000 rows"),
        ("# a # b", "\\# a # b"),
        ("### a", "##\\# a"),
        ("- a", "\\- a"),
        ("+ a", "\\+ a"),
        ("12. a", "12\\. a"),
        ("1) a", "1\\) a"),
        ("---", "\\---"),
        ("===", "\\==="),
        ("-0.05 to 1.5", "-0.05 to 1.5"),
    ],
)
def test_plain(text, expected):
    assert plain(text) == expected


def test_a_table_of_figures():
    assert table(("a", "b", "c"), [["1", "2", "3"]], figures=True).splitlines()[1] == "|---|---:|---:|"


def test_a_table():
    assert table(("a|b", "c"), [["1", "2"]]) == "| a\\|b | c |\n|---|---|\n| 1 | 2 |"
