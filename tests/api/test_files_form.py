"""Multipart forms taken apart, wherever their pieces end and whatever is wrong with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from modwright.api.schemas.files import UPLOAD_FIELDS
from modwright.api.uploads import Form, FormReader
from modwright.errors import RequestError

BOUNDARY = "b0undary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def part(name, value=b"", filename=None, *headers):
    shown = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    head = [f"Content-Disposition: {shown}", *headers]
    return f"--{BOUNDARY}\r\n".encode() + "\r\n".join(head).encode() + b"\r\n\r\n" + value + b"\r\n"


def form(*parts):
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def read(body, cuts=(), begin=lambda fields, filename: None, kind=KIND):
    reader = FormReader(kind, UPLOAD_FIELDS, begin)
    ends = [*sorted(cut for cut in cuts if cut < len(body)), len(body)]
    content, at = b"", 0
    for end in ends:
        content += b"".join(reader.feed(body[at:end]))
        at = end
    return reader.finish(), content


def refused(body, told, **more):
    with pytest.raises(RequestError) as raised:
        read(body, **more)
    assert told in str(raised.value), str(raised.value)


LIKE_BOUNDARIES = st.lists(
    st.sampled_from([b"\r\n", b"--", b"\r", b"\n", b"b0und", b"b0undary", b"-", b"\r\n--b0undar", b"a"]),
    max_size=12,
).map(b"".join)


@given(
    content=(st.binary(max_size=300) | LIKE_BOUNDARIES).filter(lambda raw: b"\r\n--b0undary" not in raw),
    cuts=st.lists(st.integers(0, 900), max_size=30),
    first=st.booleans(),
)
def test_the_file_and_the_fields_come_out_wherever_the_pieces_end(content, cuts, first):
    if content.startswith(b"--b0undary"):
        content = b"x" + content
    file = part("file", content, "a.jsonl", "Content-Type: application/x-a")
    fields = [part("purpose", b"fine-tune"), part("expiry", b"24")]
    body = form(file, *fields) if first else form(*fields, file)
    found, came = read(body, cuts)
    assert found == Form({"purpose": "fine-tune", "expiry": "24"}, "a.jsonl", "application/x-a")
    assert came == content


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_bytes_are_a_form_or_a_clear_refusal(body, cuts):
    with pytest.raises(RequestError):
        read(b"--b0undary\r\n" + body, cuts)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_form_never_passes_for_another_file(at, damage):
    whole = form(part("purpose", b"fine-tune"), part("file", b"0123456789" * 20, "a.jsonl"))
    at %= len(whole)
    try:
        found, content = read(whole[:at] + damage + whole[at + len(damage) :])
    except RequestError:
        return
    assert found.filename
    assert set(found.fields) <= set(UPLOAD_FIELDS)
    assert len(content) <= len(whole)


def test_a_form_broken_off_anywhere_is_refused():
    whole = form(part("purpose", b"fine-tune"), part("file", b"{}\n", "a.jsonl"))
    for end in range(len(whole) - 4):
        with pytest.raises(RequestError):
            read(whole[:end])


def test_what_is_said_of_a_file_is_known_before_its_first_byte():
    met = []
    reader = FormReader(KIND, UPLOAD_FIELDS, lambda fields, name: met.append((fields, name)))
    head = part("purpose", b"fine-tune") + part("file", b"", "a.jsonl")[:-2]
    assert b"".join(reader.feed(head)) == b""
    assert met == [({"purpose": "fine-tune"}, "a.jsonl")]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\windows\\a.jsonl",
        "a\tb\x1b[31m.jsonl",
        "鵝 \u202egpj.exe\u200b.jsonl",
        "%00%2e%2e.jsonl",
        "a; filename=b.jsonl",
        "x" * 1_000,
    ],
)
def test_a_filename_is_data_and_comes_through_as_it_was_sent(name):
    found, _ = read(form(part("file", b"{}", name)))
    assert found.filename == name


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "closing boundary is missing"),
        (b"hello", "malformed"),
        (form(), "file: is missing"),
        (form(part("purpose", b"fine-tune")), "file: is missing"),
        (form(part("file", b"text")), "expected a part with a filename"),
        (form(part("file", b"a", "a"), part("file", b"b", "b")), "file: is there twice"),
        (form(part("expiry", b"1"), part("expiry", b"2")), "expiry: is there twice"),
        (form(part("purpos", b"a"), part("file", b"a", "a")), "did you mean 'purpose'?"),
        (form(part("purpose", b"a" * 5_000), part("file", b"a", "a")), "more than 4096 bytes"),
        (form(*[part("purpose", b"")] * 20), "twice"),
        (form(part("purpose", b"\xff"), part("file", b"a", "a")), "purpose: the value is not UTF-8"),
        (form(part("purpose", b"a\0"), part("file", b"a", "a")), "purpose: the value holds a NUL"),
        (form(part("file", b"a", "a\0b")), "the filename holds a NUL"),
        (form(part("file", b"a", "a" * 9_000)), "malformed"),
        (form(part("file", b"a", ";" * 2_000)), "semicolons"),
        (form(part("file", b"YQ==", "a", "Content-Transfer-Encoding: base64")), "is encoded as 'base64'"),
        (form(part("file", b"a", "a", *[f"X-{n}: a" for n in range(20)])), "malformed"),
        (form(part("file", b"a", "a", "X-A: a", "x-a: b")), "the header 'x-a' twice"),
        (b"--b0undary\r\n\r\na\r\n--b0undary--\r\n", "no header 'content-disposition"),
        (b"--b0undary\r\nContent-Disposition: attachment; name=a\r\n\r\n", "no header 'content-disposition"),
    ],
)
def test_a_wrong_form_is_refused_with_its_place(body, told):
    refused(body, told)


def test_a_filename_that_is_not_utf8_is_refused():
    body = part("file", b"a", "NAME").replace(b"NAME", b"\xe4\xf6") + b"--b0undary--\r\n"
    refused(body, "the filename is not UTF-8")


@pytest.mark.parametrize("kind", ["application/json", "", "multipart/mixed; boundary=a", "text/plain; a=b"])
def test_another_content_type_is_415(kind):
    with pytest.raises(HTTPException) as raised:
        read(b"", kind=kind)
    assert raised.value.status_code == 415


@pytest.mark.parametrize(
    "kind",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'a' * 300}"],
)
def test_a_content_type_without_a_usable_boundary_is_refused(kind):
    refused(b"", "boundary", kind=kind)


def test_what_begin_refuses_goes_through():
    def begin(fields, filename):
        raise RequestError("no")

    refused(form(part("file", b"a", "a")), "no", begin=begin)
