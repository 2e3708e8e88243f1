"""Every malformed file gets an error that names the file, the line, the field where one applies, a remedy."""

# ruff: noqa: E501 (a table: one case per line reads best)

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass, field

import pytest

from modwright.data import textual
from modwright.data.columnar import pl
from modwright.data.problems import DataProblemsError
from modwright.errors import DataError

OK = '{"text": "a fine day", "labels": {"t": ["rude"]}}\n'


@dataclass
class Case:
    id: str
    name: str
    content: bytes | str
    line: int | None
    field: str | None
    found: str
    remedy: str
    reading: dict = field(default_factory=dict)
    meaning: dict = field(default_factory=dict)


def line(record: str, number: int = 2) -> str:
    return OK * (number - 1) + record + "\n"


def parquet(**columns) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


LABEL = {"labels": ("rude",)}
SCORE = {"scores": ("rude",)}
CSV = "text,rude\n"

CASES = [
    # the file as a whole
    Case("empty csv", "a.csv", b"", None, None, "is empty", "give a file with rows"),
    Case("empty jsonl", "a.jsonl", b"", None, None, "is empty", "give a file with rows"),
    Case("only a mark", "a.csv", b"\xef\xbb\xbf", None, None, "is empty", "give a file with rows"),
    Case("only blank lines", "a.csv", b"\n\n\n", None, None, "is empty", "give a file with rows"),
    Case("only blank lines, jsonl", "a.jsonl", b"\n \n", None, None, "is empty", "give a file with rows"),
    Case("header only", "a.csv", CSV, 1, None, "no rows", "--no-header", meaning=LABEL),
    Case("gzip", "a.csv", gzip.compress(b"text,rude\n"), None, None, "gzip", "gunzip"),
    Case("workbook", "a.csv", b"PK\x03\x04....", None, None, "Excel", "save the sheet as CSV"),
    Case("parquet called csv", "a.csv", parquet(text=["a"]), None, None, "Parquet", ".parquet"),
    Case("text called parquet", "a.parquet", b"text,rude\na,1\n", None, None, "not a readable Parquet", "write it again"),
    Case("parquet without rows", "a.parquet", parquet(text=[], rude=[]), None, None, "no rows", "give a file with rows"),
    Case("unknown ending", "a.data", b"text,rude\na,1\n", None, None, "ends in '.data'", "--delimiter"),
    Case("json array", "a.json", b'[{"text": "a"}]', 1, None, "JSON array", "jq -c '.[]'"),
    # encodings
    Case("utf-16 with mark", "a.csv", CSV.encode("utf-16"), 1, None, "byte-order mark of UTF-16", "--encoding utf-16"),
    Case("utf-16 bare", "a.csv", CSV.encode("utf-16-le"), 1, None, "every second byte is NUL", "--encoding utf-16-le"),
    Case("windows-1252", "a.csv", CSV.encode() + "a nice caf\u00e9,1\n".encode("cp1252"), 2, None, "byte 0xe9", "--encoding windows-1252"),
    Case("cyrillic", "a.csv", CSV.encode() + "\u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c,1\n".encode("cp1251"), 2, None, "byte 0xe4", "--encoding windows-1251"),
    Case("damaged utf-8", "a.csv", CSV.encode() + "caf\u00e9,1\n".encode() + b"caf\xff,1\n", 3, None, "byte 0xff", "repair the line"),
    Case("latin-1 jsonl", "a.jsonl", OK.encode() + b'{"text": "caf\xe9", "labels": {}}\n', 2, None, "byte 0xe9", "--encoding windows-1252"),
    Case("not ascii", "a.csv", CSV.encode() + b"a,1\ncaf\xc3\xa9,1\n", 3, None, "byte 0xc3", "real --encoding", {"encoding": "ascii"}),
    Case("lone surrogate in utf-16", "a.csv", CSV.encode("utf-16") + "a,1\n".encode("utf-16-le") * 500 + b"\x00\xd8b\x00,\x001\x00\n\x00", 502, None, "which utf-16 does not have", "real --encoding", {"encoding": "utf-16"}),
    Case("lone surrogate in utf-16, other order", "a.csv", b"\xfe\xff" + (CSV + "a,1\n" * 500).encode("utf-16-be") + b"\xd8\x00\x00b\x00,\x001\x00\n", 502, None, "which utf-16 does not have", "real --encoding", {"encoding": "utf-16"}),
    Case("beyond unicode in utf-32", "a.csv", b"\x00\x00\xfe\xff" + (CSV + "a,1\n" * 500).encode("utf-32-be") + b"\x00\x11\x00\x00", 502, None, "which utf-32 does not have", "real --encoding", {"encoding": "utf-32"}),
    Case("not in ebcdic", "a.csv", (CSV + "a,1\n" * 500).encode("cp424") + b"\x70", 502, None, "byte 0x70", "real --encoding", {"encoding": "cp424"}),
    Case("half a character in gb18030", "a.csv", (CSV + "a,1\n" * 500).encode() + b"\x81,1\n", 502, None, "byte 0x81", "real --encoding", {"encoding": "gb18030"}),
    Case("nul in csv", "a.csv", CSV + "a,1\nb\0c,0\n", 3, None, "NUL byte", "tr -d"),
    Case("nul in jsonl", "a.jsonl", line('{"text": "a\0b"}'), 2, None, "NUL byte", "tr -d"),
    # delimiters, headers, quoting
    Case("semicolons", "a.csv", b"text;rude\na, b;1\nc;0\n", 1, None, "';' occurs", "--delimiter ';'"),
    Case("tabs in csv", "a.csv", b"text\trude\na\t1\n", 1, None, "tab occurs", "--delimiter tab"),
    Case("commas in tsv", "a.tsv", b"text,rude\na,1\n", 1, None, "',' occurs", "--delimiter ','"),
    Case("too many fields", "a.csv", CSV + "a,1\nb, c,0\n", 3, None, "found 3 fields, expected 2", "in quotes"),
    Case("too few fields", "a.csv", CSV + '"a\nb",1\nc\n', 4, "rude", "found 1 field, expected 2", "add the missing field"),
    Case("double header", "a.csv", b"text,rude,rude\na,1,0\n", 1, "rude", "'rude' 2 times", "its own name"),
    Case("empty header", "a.csv", b",\na,1\n", 1, None, "names no column", "--no-header"),
    Case("stray quote", "a.csv", CSV + 'a,1\nsay "hi",0\n', 3, None, "inside a field", "--quote none"),
    Case("text after quote", "a.csv", CSV + '"a\nb" c,1\n', 3, None, "opened in line 2", "double the quotes"),
    Case("unclosed quote", "a.csv", CSV + 'a,1\n"b,0\n', 3, None, "never closed", "--quote none"),
    Case("unclosed quote met later", "a.csv", CSV + '"a,1\n"b",0\n', 3, None, "opened in line 2", "double the quotes"),
    Case("old line breaks", "a.csv", b"text,rude\ra,1\rb,0\r", 1, None, "carriage return", "tr '\\r' '\\n'"),
    Case("a lone return", "a.csv", CSV + "a,1\nb\rc,0\n", 3, None, "carriage return", "tr '\\r' '\\n'"),
    Case("old line breaks, jsonl", "a.jsonl", OK + '{"text": "a"}\r{"text": "b"}\n', 2, None, "carriage return", "tr '\\r' '\\n'"),
    Case("large record", "a.csv", CSV + "a,1\n" + "b" * 2_000_000 + ",0\n", 3, None, "2,000,003 bytes, the limit is 1,048,576", "--max-record-bytes"),
    Case("large line", "a.jsonl", line('{"text": "' + "b" * 10_000_000 + '"}'), 2, None, "10,000,012 bytes, the limit is 1,048,576", "--max-record-bytes"),
    # columns
    Case("no text column", "a.csv", b"comment,rude\na,1\n", None, None, "the columns are 'comment', 'rude'", "--text COL", meaning=LABEL),
    Case("misspelt text", "a.csv", b"comment,rude\na,1\n", None, "coment", "the columns are 'comment', 'rude'", "did you mean 'comment'?", meaning={"text": "coment", **LABEL}),
    Case("no label column", "a.csv", b"text,rude\na,1\n", None, "labels", "'rude'", "--label COL"),
    Case("misspelt label", "a.csv", b"text,rude\na,1\n", None, "rud", "the columns are", "did you mean 'rude'?", meaning={"labels": ("rud",)}),
    Case("two inputs", "a.csv", b"text,prompt,response,rude\na,b,c,1\n", None, None, "expected one input", "--text text", meaning=LABEL),
    Case("text column of texts as label", "a.csv", "text,rude\n" + "".join(f"a{n},b{n}\n" for n in range(1500)), None, "rude", "1,500 different values", "--label COL", meaning=LABEL),
    Case("parquet of numbers", "a.parquet", parquet(text=[1, 2], rude=[0, 1]), None, "text", "holds Int64", "--text COL", meaning=LABEL),
    # cells
    Case("not 0 or 1", "a.csv", "text,rude,mild\na,1,1\nb,maybe,0\n", 3, "rude", "found 'maybe'", "--score COL", meaning={"labels": ("rude", "mild")}),
    Case("score above 1", "a.csv", CSV + "a,0.5\nb,3\n", 3, "rude", "found '3', expected a soft label in 0..1", "--threshold", meaning=SCORE),
    Case("decimal comma", "a.csv", "text;rude\na;0,5\n", 2, "rude", "found '0,5'", "decimal point", {"delimiter": ";"}, meaning=SCORE),
    Case("score nan", "a.csv", CSV + "a,1\nb,nan\n", 3, "rude", "found 'nan'", "leave unknown cells empty", meaning=SCORE),
    Case("score infinite", "a.csv", CSV + "a,1\nb,1e999\n", 3, "rude", "found '1e999'", "decimal point", meaning={**SCORE, "threshold": "> 2"}),
    Case("negative weight", "a.csv", "text,rude,weight\na,1,-1\n", 2, "weight", "found '-1'", "1 counts once", meaning=LABEL),
    Case("weight in words", "a.csv", "text,rude,weight\na,1,heavy\n", 2, "weight", "found 'heavy'", "decimal point", meaning=LABEL),
    Case("label without positive", "a.csv", "text,rude,mild\na,1,0\nb,1,0\n", None, "mild", "no training row is positive", "leave the label out", meaning={"labels": ("rude", "mild")}),
    Case("one class only", "a.csv", CSV + "a,yes\nb,yes\n", None, "labels.moderation", "'yes', expected at least two", "add rows", meaning=LABEL),
    Case("classes not summing to 1", "a.csv", "text,rude,mild\na,1,0\nb,1,1\n", 3, "labels.moderation", "sum to 2", "--kind multi_label", meaning={"labels": ("rude", "mild"), "kind": "single_label"}),
    # JSON
    Case("broken json", "a.jsonl", line('{"text": "a", }'), 2, None, "not valid JSON", "jq -c ."),
    Case("pretty json", "a.jsonl", '{\n "text": "a"\n}\n', 1, None, "not valid JSON", "jq -c ."),
    Case("a bare string", "a.jsonl", line('"a"'), 2, None, "found the string 'a', expected an object", "jq -c ."),
    Case("a key twice", "a.jsonl", line('{"text": "a", "text": "b"}'), 2, None, "'text' 2 times", "each key once"),
    Case("json nan", "a.jsonl", line('{"text": "a", "weight": NaN}'), 2, None, "found NaN", "finite numbers"),
    Case("deep json", "a.jsonl", line('{"text": ' + "[" * 200_000 + "]" * 200_000 + "}"), 2, None, "nested too deeply", "flatten"),
    Case("lone surrogate", "a.jsonl", line('{"text": "a \\ud83d b", "labels": {}}'), 2, "text", "\\ud83d", "as a pair"),
    Case("lone surrogate within", "a.jsonl", line('{"messages": [{"role": "user", "content": "\\udc00"}]}'), 2, "messages[0].content", "\\udc00", "as a pair"),
    # records
    Case("no text", "a.jsonl", line('{"body": "a"}'), 2, "text", "found 'body'", "--text KEY"),
    Case("text is a number", "a.jsonl", line('{"text": 3}'), 2, "text", "found the number 3", "quote the text"),
    Case("text is null", "a.jsonl", line('{"text": null}'), 2, "text", "found null", "quote the text"),
    Case("text and messages", "a.jsonl", line('{"text": "a", "messages": []}'), 2, None, "found text and messages", "--text KEY"),
    Case("prompt alone", "a.jsonl", line('{"prompt": "a"}'), 2, "response", "'response' is missing", "add it"),
    Case("no messages", "a.jsonl", line('{"messages": []}'), 2, "messages", "an empty list", '"role": "user"'),
    Case("message without role", "a.jsonl", line('{"messages": [{"content": "a"}]}'), 2, "messages[0]", "role and content", '"role": "user"'),
    Case("unknown role", "a.jsonl", line('{"messages": [{"role": "bot", "content": "a"}]}'), 2, "messages[0].role", "the string 'bot'", "use one of these"),
    Case("content is null", "a.jsonl", line('{"messages": [{"role": "user", "content": null}]}'), 2, "messages[0].content", "found null", "write the turn's text"),
    Case("id is a list", "a.jsonl", line('{"text": "a", "id": [1]}'), 2, "id", "found a list", "quote it"),
    Case("id is empty", "a.jsonl", line('{"text": "a", "id": ""}'), 2, "id", "an empty string", "quote it"),
    Case("weight is true", "a.jsonl", line('{"text": "a", "weight": true}'), 2, "weight", "the boolean true", "1 counts a row once"),
    Case("weight below 0", "a.jsonl", line('{"text": "a", "weight": -0.5}'), 2, "weight", "the number -0.5", "1 counts a row once"),
    # labels
    Case("labels as a list", "a.jsonl", line('{"text": "a", "labels": ["rude"]}'), 2, "labels", "found a list", '"moderation"'),
    Case("label is a number", "a.jsonl", line('{"text": "a", "labels": {"t": 1}}'), 2, "labels.t", "the number 1", 'quote a class: "1"'),
    Case("label is a boolean", "a.jsonl", line('{"text": "a", "labels": {"t": true}}'), 2, "labels.t", "the boolean true", 'quote a class: "true"'),
    Case("number in the list", "a.jsonl", line('{"text": "a", "labels": {"t": ["rude", 1]}}'), 2, "labels.t[1]", "the number 1", "as strings"),
    Case("empty label", "a.jsonl", line('{"text": "a", "labels": {"t": [""]}}'), 2, "labels.t[0]", "an empty label", "[] says that none holds"),
    Case("list and string", "a.jsonl", line('{"text": "a", "labels": {"t": "rude"}}'), 2, "labels.t", "found a string, but line 1 has a list", "write lists everywhere"),
    Case("soft label above 1", "a.jsonl", line('{"text": "a", "labels": {"t": {"rude": 7}}}'), 2, "labels.t.rude", "the number 7", "scale it"),
    Case("soft label in words", "a.jsonl", line('{"text": "a", "labels": {"t": {"rude": "7"}}}'), 2, "labels.t.rude", "the string '7'", "write 1 or 0"),
    Case("target with a slash", "a.jsonl", line('{"text": "a", "labels": {"t/u": ["rude"]}}'), 2, "labels", "'t/u'", "rename it"),
    Case("no label anywhere", "a.jsonl", '{"text": "a", "labels": {"t": []}}\n', None, "labels.t", "no row names a label", "--declare t="),
    Case("label not declared", "a.jsonl", line('{"text": "a", "labels": {"t": ["rued"]}}', 3), 3, "labels.t", "'rued'", "did you mean 'rude'?", meaning={"declared": {"t": ("rude",)}}),
    Case("list in a label column", "a.jsonl", '{"text": "b", "rude": 1}\n{"text": "a", "rude": ["x"]}\n', 2, "rude", "found a list", "one form throughout", meaning=LABEL),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_malformed_file_is_diagnosed(case, load):
    with pytest.raises(DataError) as caught:
        load({case.name: case.content}, reading=case.reading, **case.meaning)
    error = caught.value
    if isinstance(error, DataProblemsError):
        error = error.problems[0]
    assert error.file is not None
    assert error.file.endswith(case.name)
    assert error.line == case.line
    assert error.field == case.field
    assert case.found in error.message
    assert error.remedy is not None
    assert case.remedy in error.remedy


@pytest.mark.parametrize("size", [64, 1 << 24])
@pytest.mark.parametrize("order", ["le", "be"])
def test_the_line_of_a_damaged_character_holds_over_chunks(size, order, load, monkeypatch):
    monkeypatch.setattr(textual, "CHUNK_BYTES", size)
    for encoding, damage in ((f"utf-16-{order}", "\ud800"), (f"utf-32-{order}", "\ud800")):
        text = (CSV + "a,1\n" * 5_000 + damage + "b,1\n").encode(encoding, "surrogatepass")
        mark = "\ufeff".encode(encoding)
        with pytest.raises(DataError) as caught:
            load({"a.csv": mark + text}, reading={"encoding": encoding[:6]}, labels=("rude",))
        assert caught.value.line == 5_002


def test_there_are_enough_of_them():
    assert len(CASES) >= 40


def test_a_missing_file_is_named(load, tmp_path):
    load({"a.jsonl": OK * 2})
    from modwright.data.importing import load_dataset
    from modwright.data.options import ImportOptions

    with pytest.raises(DataError, match=r"missing\.csv: no such file \(check the path\)"):
        load_dataset(ImportOptions((str(tmp_path / "missing.csv"),), tmp_path / "out"))
    with pytest.raises(DataError, match="no such file or folder"):
        load_dataset(ImportOptions((str(tmp_path / "missing"),), tmp_path / "out"))
    with pytest.raises(DataError, match="is a folder"):
        load_dataset(ImportOptions((str(tmp_path),), tmp_path / "out"))


def test_problems_are_collected_up_to_a_limit_then_counted(load):
    with pytest.raises(DataProblemsError) as caught:
        load({"a.csv": CSV + "a,7\n" * 250}, scores=("rude",))
    error = caught.value
    assert (len(error.problems), error.total) == (100, 250)
    assert [problem.line for problem in error.problems] == list(range(2, 102))
    text = str(error).splitlines()
    assert text[0] == "250 problems"
    assert "a.csv:2, field 'rude': found '7'" in text[1]
    assert text[-1] == "  … and 150 more"


def test_problems_of_several_files_come_together(load):
    with pytest.raises(DataProblemsError) as caught:
        load({"a.csv": CSV + "a,1,1\n", "b.csv": CSV + "b\n"}, labels=("rude",))
    assert [problem.file.rsplit("/")[-1] for problem in caught.value.problems] == ["a.csv", "b.csv"]


def test_a_mix_of_structural_problems_keeps_every_line(load):
    content = CSV + 'a,1\nb,0,0\n"c\nc",1\nd\ne,1\nf "x",1\n'
    with pytest.raises(DataProblemsError) as caught:
        load({"a.csv": content}, labels=("rude",))
    assert [problem.line for problem in caught.value.problems] == [3, 6, 8]
