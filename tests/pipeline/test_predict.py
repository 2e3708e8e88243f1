"""Lines in, lines out: the same scores as the engine's, in order, and a malformed line writes nothing."""

from __future__ import annotations

import json
import os

import pytest

from modwright.errors import DataError, NotFoundError, UsageError
from modwright.pipeline.predict import answer, predict, read_lines
from modwright.schema import Message, Role, pair_input, text_input
from modwright.testing import tiny_texts


def write_lines(path, records):
    path.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
    return path


def read(path):
    text = path.read_text(encoding="utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line, parse_constant=pytest.fail) for line in text.split("\n")[:-1]]


@pytest.fixture
def scored(engine, tmp_path):
    """Score records through files and return the answers."""

    def run(records, **options):
        source = write_lines(tmp_path / "in.jsonl", records)
        count = predict(engine, source, tmp_path / "out.jsonl", **options)
        found = read(tmp_path / "out.jsonl")
        assert count == len(found)
        return found

    return run


def close(found, expected, tolerance):
    assert found["flags"] == expected["flags"]
    assert (found["windows"], found["span"]) == (expected["windows"], expected["span"])
    for target, scores in expected["scores"].items():
        assert found["scores"][target] == pytest.approx(scores, abs=tolerance)


def test_the_shape_of_a_line(scored):
    (line,) = scored([{"text": "you silly goose"}])
    assert list(line) == ["id", "scores", "flags", "review", "windows", "span"]
    assert line["id"] == 1
    assert {name: list(scores) for name, scores in line["scores"].items()} == {
        "moderation": ["insult", "threat", "safe"],
        "tone": ["kind", "rude"],
    }
    assert sum(line["scores"]["tone"].values()) == pytest.approx(1.0)
    assert list(line["flags"]) == ["moderation", "tone"]
    assert set(line["review"]) == {"moderation", "tone"}
    assert set(line["review"].values()) <= {"pass", "review", "act"}
    assert line["windows"] == 1
    assert line["span"] == [0, len("you silly goose")]


def test_ids_are_taken_over_else_the_line_number(engine, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text(
        '{"id": "a/1", "text": "x"}\n\n  \n{"text": "y"}\n{"id": 7, "text": "z"}\n{"text": "w", "labels": []}'
    )
    predict(engine, source, tmp_path / "out.jsonl")
    assert [line["id"] for line in read(tmp_path / "out.jsonl")] == ["a/1", 4, 7, 6]


def test_order_holds_over_chunks_and_scores_are_the_engines(scored, engine):
    texts = tiny_texts(600, seed=5)
    told = []
    found = scored(
        [{"id": text + str(n), "text": text} for n, text in enumerate(texts)], progress=told.append
    )
    assert told == [256, 512, 600]
    assert [line["id"] for line in found] == [text + str(n) for n, text in enumerate(texts)]
    expected = engine.judge([text_input(text) for text in texts])
    for n, (line, judgement) in enumerate(zip(found, expected, strict=True)):
        close(line, json.loads(json.dumps(answer(texts[n], judgement))), 1e-6)


def test_one_chunk_is_the_engines_answer(scored, engine):
    texts = tiny_texts(50, seed=6)
    found = scored([{"text": text} for text in texts])
    for line, judgement in zip(found, engine.judge([text_input(text) for text in texts]), strict=True):
        close(line, answer(line["id"], judgement), 1e-9)


def test_order_and_company_do_not_matter(scored):
    texts = list(dict.fromkeys(tiny_texts(300, seed=8)))
    forth = {line["id"]: line for line in scored([{"id": text, "text": text} for text in texts])}
    back = {line["id"]: line for line in scored([{"id": text, "text": text} for text in reversed(texts)])}
    for text in texts:
        close(back[text], forth[text], 1e-6)
    for text in texts[:5]:
        close(scored([{"id": text, "text": text}])[0], forth[text], 1e-6)


def test_messages_and_pairs(scored, engine):
    found = scored(
        [
            {"prompt": "walk near the river", "response": "silly goose"},
            {"response": "silly goose", "prompt": "walk near the river"},
            {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "peck"}]},
            {"messages": [{"role": "system", "content": "x", "name": "kept out"}], "text": None},
        ]
    )
    talk = (Message(Role("user"), "hi"), Message(Role("assistant"), "peck"))
    pair = pair_input("walk near the river", "silly goose")
    alone = (Message(Role("system"), "x"),)
    expected = engine.judge([pair, pair, talk, alone])
    for line, judgement in zip(found, expected, strict=True):
        close(line, answer(0, judgement), 1e-9)


def test_a_long_text_says_where(scored):
    neutral = "the garden near the river was quiet this morning and the letter lay on the table "
    text = neutral * 10 + "you silly goose donkey " + neutral * 10
    (line,) = scored([{"text": text}])
    assert line["windows"] > 1
    begin, end = line["span"]
    assert 0 <= begin < end <= len(text)
    assert end - begin < len(text) / 2
    assert any(word in text[begin:end] for word in ("silly", "goose", "donkey"))


def test_text_survives(scored):
    text = 'naïve 鵞鳥 🪿 \u2028 \u0000 "quoted"'
    (line,) = scored([{"id": text, "text": text}])
    assert line["id"] == text


def test_a_byte_order_mark_and_other_line_ends(engine, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\r\n{"id": "b", "text": "y"}\r\n')
    predict(engine, source, tmp_path / "out.jsonl")
    assert [line["id"] for line in read(tmp_path / "out.jsonl")] == ["a", "b"]


def test_nothing_in_nothing_out(engine, tmp_path):
    (tmp_path / "in.jsonl").write_text("\n\n")
    assert predict(engine, tmp_path / "in.jsonl", tmp_path / "deep" / "out.jsonl") == 0
    assert (tmp_path / "deep" / "out.jsonl").read_text() == ""


MALFORMED = {
    "not json": (b"{text: 1}", None, "not JSON"),
    "cut off": (b'{"text": "a"', None, "not JSON"),
    "two values": (b'{"text": "a"} {"text": "b"}', None, "not JSON"),
    "a list": (b'["a"]', None, "found list"),
    "a text": (b'"a"', None, "found str"),
    "null": (b"null", None, "found NoneType"),
    "not utf-8": (b'{"text": "\xff"}', None, "not UTF-8"),
    "deep": (b"[" * 100_000, None, "not JSON"),
    "no input": (b'{"txet": "a"}', None, "expected 'text'"),
    "empty object": (b"{}", None, "none"),
    "two inputs": (b'{"text": "a", "messages": [{"role": "user", "content": "a"}]}', None, "expected 'text'"),
    "half a pair": (b'{"prompt": "a"}', None, "'prompt' and 'response'"),
    "text is a number": (b'{"text": 1}', "text", "found int"),
    "text is null": (b'{"text": null}', "text", "found null"),
    "response is a list": (b'{"prompt": "a", "response": ["b"]}', "response", "found list"),
    "half a surrogate": (b'{"text": "\\ud800"}', "text", "surrogate"),
    "id is a fraction": (b'{"id": 1.5, "text": "a"}', "id", "found 1.5"),
    "id is true": (b'{"id": true, "text": "a"}', "id", "found True"),
    "id is null": (b'{"id": null, "text": "a"}', "id", "found None"),
    "id is half a surrogate": (b'{"id": "\\udfff", "text": "a"}', "id", "surrogate"),
    "messages is a text": (b'{"messages": "a"}', "messages", "expected a list"),
    "no messages": (b'{"messages": []}', "messages", "at least one"),
    "message is a text": (b'{"messages": ["a"]}', "messages.0", "expected an object"),
    "message without content": (b'{"messages": [{"role": "user"}]}', "messages.0", "'content'"),
    "unknown role": (
        b'{"messages": [{"role": "user", "content": "a"}, {"role": "goose", "content": "a"}]}',
        "messages.1.role",
        "found 'goose'",
    ),
    "role is an object": (b'{"messages": [{"role": {}, "content": "a"}]}', "messages.0.role", "found {}"),
    "content is null": (
        b'{"messages": [{"role": "user", "content": null}]}',
        "messages.0.content",
        "expected text",
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_line_is_named_and_nothing_is_written(engine, tmp_path, kind):
    raw, field, message = MALFORMED[kind]
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    good = b'{"text": "fine"}\n'
    source.write_bytes(good * 257 + b"\n" + raw + b"\n" + good)
    output.write_text("the old answers")
    with pytest.raises(DataError) as caught:
        predict(engine, source, output)
    error = caught.value
    assert (error.file, error.line, error.field) == (str(source), 259, field)
    assert message in error.message
    assert f"{source}:259" in str(error)
    assert output.read_text() == "the old answers"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_misspelt_key_names_the_nearest(tmp_path):
    source = write_lines(tmp_path / "in.jsonl", [{"txet": "a"}])
    with pytest.raises(DataError) as caught:
        list(read_lines(source))
    assert caught.value.remedy == "did you mean 'text'?"


def test_files_that_cannot_be_used(engine, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", [{"text": "a"}])
    with pytest.raises(DataError, match="cannot be read"):
        predict(engine, tmp_path / "nowhere.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="cannot be read"):
        predict(engine, tmp_path, tmp_path / "out.jsonl")
    with pytest.raises(UsageError, match="is a folder"):
        predict(engine, source, tmp_path)
    with pytest.raises(UsageError, match="cannot be made"):
        predict(engine, source, source / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_unknown_operating_point_even_of_nothing(engine, tmp_path):
    (tmp_path / "in.jsonl").write_text("")
    with pytest.raises(NotFoundError, match="'stric'"):
        predict(engine, tmp_path / "in.jsonl", tmp_path / "out.jsonl", operating_point="stric")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_may_be_scored_in_place(engine, tmp_path):
    path = write_lines(tmp_path / "in.jsonl", [{"id": "a", "text": "goose"}])
    predict(engine, path, path)
    assert [line["id"] for line in read(path)] == ["a"]


def test_a_link_stays_and_its_file_is_written(engine, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", [{"id": "a", "text": "goose"}])
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    predict(engine, source, tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert [line["id"] for line in read(tmp_path / "real.jsonl")] == ["a"]


def test_what_is_no_plain_file_is_not_replaced(engine, tmp_path):
    source = write_lines(tmp_path / "in.jsonl", [{"id": "a", "text": "goose"}])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no plain file"):
        predict(engine, source, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(UsageError, match="cannot be written"):
        predict(engine, source, tmp_path / ("x" * 250))


def test_an_operating_point_changes_flags_and_neither_score_nor_verdict(engine, scored):
    records = [{"text": text} for text in tiny_texts(40, seed=6)]
    lenient, strict = (scored(records, operating_point=name) for name in ("lenient", "strict"))
    for key in ("scores", "review"):
        assert [line[key] for line in lenient] == [line[key] for line in strict]
    flagged = [sum(len(line["flags"]["moderation"]) for line in lines) for lines in (lenient, strict)]
    assert flagged[0] >= flagged[1]


def test_a_model_without_a_band_says_nothing_of_review(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "review", None)
    source = write_lines(tmp_path / "in.jsonl", [{"text": "goose"}])
    predict(engine, source, tmp_path / "out.jsonl")
    assert "review" not in read(tmp_path / "out.jsonl")[0]
