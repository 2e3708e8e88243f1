"""What the check of an uploaded file finds, by the very process that a server asks."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from modwright.errors import UnavailableError
from modwright.jobs.checking import ProcessChecker
from modwright.jobs.file_summary import FileProblemsError, FileSummary, FoundTarget
from modwright.schema import TargetKind

MULTI, SINGLE = TargetKind.MULTI_LABEL, TargetKind.SINGLE_LABEL


@pytest.fixture(scope="module")
def checker():
    made = ProcessChecker(parallel=1)
    yield made
    made.close()


def content(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


def row(text="you are a silly goose", **labels):
    return {"text": text, "labels": labels}


def turns(*contents):
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(contents)]


def refused(checker, *rows, tolerated=0.0):
    with pytest.raises(FileProblemsError) as raised:
        checker.check([content(*rows)], "a.jsonl", tolerated)
    return raised.value


def test_a_summary_tells_targets_labels_lines_and_characters(checker):
    rows = [row("four", moderation=["insult"], tone="rude"), row("five5", moderation=["safe"], tone="kind")]
    found = checker.check([content(*rows, "")], "a.jsonl")
    assert found.targets == {
        "moderation": FoundTarget(MULTI, ("insult", "safe")),
        "tone": FoundTarget(SINGLE, ("rude", "kind")),
    }
    assert (found.lines, found.skipped, found.characters, found.openai) == (2, 0, 9, False)
    assert found.notes == ("1 blank line was left out",)
    assert FileSummary.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_where_the_pieces_end_changes_nothing(checker, size):
    whole = content(row("über — 鵝", m=["a"]), {"messages": turns("hi", "honk"), "labels": {"m": []}})
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    found = checker.check(pieces, "a.jsonl")
    assert (found.lines, found.characters) == (2, 8 + 6)


def test_soft_and_unknown_labels_are_read(checker):
    found = checker.check([content(row(m={"a": 0.7, "b": None}), row(m=None))], "a.jsonl")
    assert found.targets == {"m": FoundTarget(None, ("a", "b"))}


def test_a_plain_label_key_and_wide_columns_are_read_as_an_import_reads_them(checker):
    plain = checker.check([content({"text": "a", "label": "x"}, {"text": "b", "label": "y"})], "a.jsonl")
    assert plain.targets == {"moderation": FoundTarget(SINGLE, ("x", "y"))}
    wide = checker.check([content({"text": "a", "m/x": 1, "m/y": 0}, {"text": "b", "m/x": 0})], "a.jsonl")
    assert wide.targets == {"m": FoundTarget(MULTI, ("x", "y"))}


def test_in_openai_files_the_last_message_is_the_label_or_a_list_of_them(checker):
    one = {"messages": turns("you silly goose", "insult")}
    found = checker.check([content(one, {"messages": turns("hello", "safe")})], "a.jsonl")
    assert found.openai
    assert found.targets == {"moderation": FoundTarget(SINGLE, ("insult", "safe"))}
    several = {"messages": turns("you silly goose", '["insult", "threat"]')}
    found = checker.check([content(several, {"messages": turns("hello", "[]")})], "a.jsonl")
    assert found.targets == {"moderation": FoundTarget(MULTI, ("insult", "threat"))}
    error = refused(checker, one, {"messages": turns("hello")})
    assert error.problems[0].line == 2
    assert "expected an assistant's message" in error.problems[0].message


def test_every_wrong_line_is_told_with_field_found_and_expected(checker):
    error = refused(checker, row(m=["a"]), {"text": 3, "labels": {"m": "b"}}, "nope", row(m=[1]))
    told = [(problem.line, problem.field) for problem in error.problems]
    assert told == [(2, "text"), (2, "labels.m"), (3, None), (4, "labels.m[0]")]
    assert error.total == 4
    for problem in error.problems:
        assert "expected" in problem.message or "not valid JSON" in problem.message
    assert "a.jsonl:2" in str(error)
    assert "and 3 more" in str(error)


def test_a_hundred_problems_are_told_and_the_others_counted(checker):
    error = refused(checker, *[{"text": n, "labels": {"m": ["a"]}} for n in range(250)])
    assert (len(error.problems), error.total) == (100, 250)
    assert [problem.line for problem in error.problems] == list(range(1, 101))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n", "is empty"),
        (b"[]", "JSON array"),
        (b'{"text": "a"}\n', "found no column or key 'labels'"),
        (b'{"text": "a", "labels": {}}\n', "found no column or key 'labels'"),
        (b'{"text": "a", "text": "b", "labels": {"m": ["x"]}}\n', "the key 'text' 2 times"),
        (b'{"text": "a", "labels": {"m": {"x": NaN}}}\n', "found NaN"),
        (b'{"text": "a\x00", "labels": {"m": ["x"]}}\n', "NUL"),
        (b'{"text": "\\ud800", "labels": {"m": ["x"]}}\n', "lone surrogate"),
        (b'{"text": "\xe4", "labels": {"m": ["x"]}}\n', "is not valid UTF-8"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04", "zip archive"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b'{"text": "' + b"a" * (1 << 20) + b'", "labels": {"m": ["x"]}}\n', "the limit is"),
        (b"[" * 100_000, "JSON array"),
        (b'{"a":' * 100_000 + b"\n", "nested too deeply"),
    ],
)
def test_what_is_no_training_data_is_told(checker, raw, told):
    with pytest.raises(FileProblemsError) as raised:
        checker.check([raw], "a.jsonl")
    assert told in raised.value.problems[0].message
    assert not any("--" in (problem.remedy or "") for problem in raised.value.problems)


def test_a_share_of_wrong_records_is_tolerated_and_counted(checker):
    rows = [row(m=["a"]), "nope", {"text": 3, "labels": {"m": "b", "n": 1}}, row(m=["b"])]
    found = checker.check([content(*rows)], "a.jsonl", 0.5)
    assert (found.lines, found.skipped) == (4, 2)
    assert [problem.line for problem in found.problems] == [2, 3, 3, 3]
    assert FileSummary.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert refused(checker, *rows, tolerated=0.49).total == 4
    refused(checker, {"text": "a"}, tolerated=0.5)


def test_an_error_of_the_content_goes_through_and_the_next_check_works(checker):
    def broken():
        yield content(row(m=["a"]))
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        checker.check(broken(), "a.jsonl")
    assert checker.check([content(row(m=["a"]))], "a.jsonl").lines == 1


def test_a_process_that_dies_or_hangs_fails_one_check():
    made = ProcessChecker(parallel=1)
    good = content(row(m=["a"]))
    assert made.check([good], "a.jsonl").lines == 1
    (reader,) = made._free.queue

    def killing():
        yield good
        reader._process.kill()
        reader._process.wait()
        yield good

    with pytest.raises(UnavailableError):
        made.check(killing(), "a.jsonl")
    assert made.check([good], "a.jsonl").lines == 1

    def stalling():
        yield good
        threading.Event().wait(0.6)
        yield good

    made._timeout_s = 0.3
    with pytest.raises(UnavailableError):
        made.check(stalling(), "a.jsonl")
    made.close()


def test_closing_gives_up_a_check_under_way():
    made = ProcessChecker(parallel=1)
    held, begun = threading.Event(), threading.Event()

    def holding():
        yield content(row(m=["a"]))
        begun.set()
        held.wait(20)
        yield content(row(m=["a"]))

    with ThreadPoolExecutor(1) as threads:
        under_way = threads.submit(made.check, holding(), "a.jsonl")
        assert begun.wait(20)
        made.close()
        held.set()
        with pytest.raises(UnavailableError):
            under_way.result(20)
    with pytest.raises(UnavailableError):
        made.check([content(row(m=["a"]))], "a.jsonl")
