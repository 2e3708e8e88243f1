"""Delimited text against Python's csv module: same cells, and every record at its line."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.data import textual
from modwright.data.delimited import read_delimited
from modwright.data.options import Reading
from modwright.data.problems import Problems
from modwright.data.rfc4180 import scan

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
AWKWARD = st.text(st.sampled_from('a",;\t\n\r é😀\ufeff'), max_size=6)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS | AWKWARD, min_size=width, max_size=width), min_size=1, max_size=8)
)


def read(path, content, **reading):
    path.write_bytes(content)
    problems = Problems()
    table = read_delimited(path, path.name, Reading(**reading), problems)
    problems.raise_any()
    return table


def written(rows, delimiter, terminator):
    out = io.StringIO(newline="")
    # Python's writer leaves a lone CR bare where lines end in LF; RFC 4180 wants it quoted.
    bare = any("\r" in cell for row in rows for cell in row)
    quoting = csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=delimiter, lineterminator=terminator, quoting=quoting).writerows(rows)
    return out.getvalue()


def line_starts(rows, delimiter, terminator):
    """The line each record starts at, counted record by record."""
    lines, line = [], 1
    for row in rows:
        lines.append(line)
        line += written([row], delimiter, terminator).count("\n")
    return lines


@settings(max_examples=300, deadline=None)
@given(
    TABLES,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([40, textual.CHUNK_BYTES]),
)
def test_what_csv_writes_is_read_back(tmp_path_factory, rows, delimiter, terminator, chunk_bytes):
    path = tmp_path_factory.getbasetemp() / "round-trip.csv"
    header = [f"c{place}" for place in range(len(rows[0]))]
    content = written([header, *rows], delimiter, terminator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textual, "CHUNK_BYTES", chunk_bytes)  # so small that records straddle chunks
        table = read(path, content.encode(), delimiter=delimiter)
    assert [[cell or "" for cell in row] for row in table.frame.rows()] == rows
    assert table.lines.tolist() == line_starts([header, *rows], delimiter, terminator)[1:]


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('a,"\n\r'), max_size=14))
def test_quoting_is_well_formed_exactly_where_the_grammar_says(text):
    block = scan(text.encode(), "x.csv", ",", True, 1, final=True)
    assert (block.error is None) == well_formed(text)


def well_formed(text):
    """RFC 4180 as a state machine: between fields, in a plain field, in quotes, after a closing quote."""
    state, place = "start", 0
    while place < len(text):
        character = text[place]
        if state == "quoted":
            state = "closed" if character == '"' else "quoted"
        elif character == '"' and state in ("start", "closed"):
            state = "quoted"
        elif character == '"':
            return False
        elif character == "," or character == "\n":
            state = "start"
        elif character == "\r":
            if text[place + 1 : place + 2] != "\n":
                return False
        elif state == "closed":
            return False
        else:
            state = "plain"
        place += 1
    return state != "quoted"


def test_marks_blank_lines_and_mixed_breaks_are_accepted_and_noted(tmp_path):
    table = read(tmp_path / "a.csv", b'\xef\xbb\xbftext,n\r\na,1\n\n"b\r\n",2\r\n\r\n,3')
    assert table.frame.rows() == [("a", "1"), ("b\r\n", "2"), (None, "3")]
    assert table.frame.columns == ["text", "n"]
    assert table.lines.tolist() == [2, 4, 7]
    assert table.notes == (
        "a byte-order mark at the start was left out",
        "2 blank lines were left out",
        "line breaks are mixed: 3 CR LF, 2 LF",
    )


def test_plain_quotes_and_no_header(tmp_path):
    table = read(tmp_path / "a.tsv", b'say "hi\tOTHER\n"\t"x"\n', quoted=False, header=False)
    assert table.frame.rows() == [('say "hi', "OTHER"), ('"', '"x"')]
    assert table.frame.columns == ["column_1", "column_2"]
    assert table.lines.tolist() == [1, 2]


def test_columns_without_a_name_get_their_place(tmp_path):
    table = read(tmp_path / "a.csv", b",text,\n1,a,2\n")
    assert table.frame.columns == ["column_1", "text", "column_3"]
    assert table.notes == ("columns without a name in the header are called column_1, column_3",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "windows-1252", "utf-8-sig", "gb18030"])
def test_other_encodings_when_named(tmp_path, encoding):
    content = 'text,n\n"a café,\nwarm",1\n'
    table = read(tmp_path / "a.csv", content.encode(encoding), encoding=encoding)
    assert table.frame.rows() == [("a café,\nwarm", "1")]


def test_lines_before_the_header_can_be_left_out(tmp_path):
    table = read(tmp_path / "a.csv", b"# version=1, 2\ntext,n\na,1\n", skip_lines=1)
    assert table.frame.rows() == [("a", "1")]
    assert table.lines.tolist() == [3]


def test_one_column_may_be_one_column(tmp_path):
    table = read(tmp_path / "a.csv", b"text\nnice; really\nfine\n")
    assert table.frame.rows() == [("nice; really",), ("fine",)]


@pytest.mark.parametrize("size", [140_000, 1_000_000])
def test_a_header_with_a_long_name_is_read_as_any_record(tmp_path, size):
    before = csv.field_size_limit()
    name = "long, and" + "x" * size
    table = read(tmp_path / "a.csv", f'text,"{name}"\na,b\n'.encode())
    assert table.frame.columns == ["text", name]
    assert csv.field_size_limit() == before
