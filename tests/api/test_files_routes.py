"""Files over HTTP in both dialects: what is kept, what is refused and how it is told."""

import json
import re
from pathlib import Path
from uuid import UUID

import pytest
from files_server import GOOD, ROWS, asking, jsonl, kept, left, upload

from modwright.api.auth import Scope
from modwright.api.schemas.files import UPLOAD_FIELDS, FileBody, FileQuery
from modwright.jobs.checking import ProcessChecker

PREFIXES = ["", "/mistral", "/openai"]


@pytest.fixture(scope="module")
def checker():
    made = ProcessChecker(parallel=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, checker):
    with kept(tmp_path_factory.mktemp("kept"), checker) as made, asking(made) as client:
        yield made, client


@pytest.fixture
def factory(shared):
    made, _ = shared
    yield made
    for row in made.files.list("default").rows:
        made.files.delete("default", row.id)


@pytest.fixture
def client(shared, factory):
    _, made = shared
    return made


@pytest.fixture
def keyed(tmp_path, checker):
    """A factory and a client of their own, for tests that make keys: there is no way back from those."""
    with kept(tmp_path, checker) as made, asking(made) as client:
        yield made, client


def key_for(keyed, project_id, *scopes):
    """Make a key and return the headers that carry it."""
    factory, client = keyed
    _, secret = factory.keys.create(project_id, "a key", scopes, None)
    client.app.state.gate.forget()
    return {"authorization": f"Bearer {secret}"}


def refused(response, status, told, code="invalid_request"):
    body = response.json()
    assert response.status_code == status, response.text
    assert body["code"] == code
    assert told in body["message"], body["message"]
    assert body["error"]["message"] == body["message"]
    return body


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_file_is_uploaded_shown_listed_fetched_and_deleted(client, factory, prefix):
    files = prefix + "/v1/files"
    made = upload(client, path=files).json()
    assert UUID(made["id"])
    assert (
        made.items()
        >= {
            "object": "file",
            "bytes": len(GOOD),
            "filename": "train.jsonl",
            "purpose": "fine-tune",
            "sample_type": "instruct",
            "source": "upload",
            "num_lines": 2,
            "mimetype": "application/jsonl",
            "deleted": False,
            "status": "processed",
            "visibility": "workspace",
            "expires_at": None,
        }.items()
    )
    assert re.fullmatch("[0-9a-f]{16}", made["signature"])
    assert made["summary"]["targets"] == {"moderation": {"kind": "multi_label", "labels": ["insult", "safe"]}}
    assert client.get(f"{files}/{made['id']}").json() == made
    listed = client.get(files).json()
    assert listed == {
        "object": "list",
        "data": [made],
        "total": 1,
        "has_more": False,
        "first_id": made["id"],
        "last_id": made["id"],
    }
    content = client.get(f"{files}/{made['id']}/content")
    assert content.content == GOOD
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-length"] == str(len(GOOD))
    deleted = client.delete(f"{files}/{made['id']}")
    assert deleted.status_code == 200
    assert deleted.json() == {"id": made["id"], "object": "file", "deleted": True}
    for response in (
        client.get(f"{files}/{made['id']}"),
        client.get(f"{files}/{made['id']}/content"),
        client.get(f"{files}/{made['id']}/url"),
        client.delete(f"{files}/{made['id']}"),
    ):
        refused(response, 404, "there is no file", "not_found")
    assert left(factory) == (0, 0)


def test_the_same_content_and_name_is_the_same_file(client, factory):
    first = upload(client).json()
    assert upload(client).json() == first
    assert upload(client, path="/openai/v1/files", purpose="fine-tune").json() == first
    other = upload(client, name="other.jsonl").json()
    assert other["id"] != first["id"]
    assert other["signature"] == first["signature"]
    assert left(factory) == (2, 1)
    client.delete(f"/v1/files/{first['id']}")
    assert client.get(f"/v1/files/{other['id']}/content").content == GOOD


def test_wrong_lines_are_told_in_both_shapes_and_nothing_is_kept(client, factory):
    wrong = jsonl(ROWS[0], {"text": 3, "labels": {"moderation": "insult"}}, "nope")
    body = refused(upload(client, wrong), 400, "train.jsonl:2", "invalid_data")
    assert body["param"] == "file"
    assert [item["loc"] for item in body["detail"]] == [
        ["body", "file", 2, "text"],
        ["body", "file", 2, "labels.moderation"],
        ["body", "file", 3],
    ]
    assert body["detail"][0]["msg"] == "line 2: found the number 3, expected a string (quote the text)"
    assert body["detail"][0]["type"] == "invalid_data"
    many = refused(upload(client, jsonl(*["nope"] * 250)), 400, "100 of 250 problems", "invalid_data")
    assert len(many["detail"]) == 100
    assert left(factory) == (0, 0)


def test_a_share_of_wrong_lines_may_be_tolerated(client):
    wrong = jsonl(*ROWS, "nope")
    made = upload(client, wrong, invalid_sample_skip_percentage="0.4").json()
    assert (made["num_lines"], made["summary"]["skipped"]) == (3, 1)
    refused(
        upload(client, wrong, invalid_sample_skip_percentage="0.3"), 400, "not valid JSON", "invalid_data"
    )
    refused(upload(client, wrong, invalid_sample_skip_percentage="0.6"), 400, "less than or equal to 0.5")


def test_the_servers_share_holds_where_the_form_has_none_and_the_jobs_own_decides(factory):
    wrong = jsonl(*ROWS, "nope", *ROWS)
    with asking(factory, upload_invalid_sample_skip_percentage=0.5) as client:
        made = upload(client, wrong).json()
        assert (made["num_lines"], made["summary"]["skipped"]) == (5, 1)
        assert made["summary"]["problems"][0]["line"] == 3
        refused(
            upload(client, wrong, "strict.jsonl", invalid_sample_skip_percentage="0"),
            400,
            "not valid JSON",
            "invalid_data",
        )
        asked = {"model": "fast", "training_files": [made["id"]], "hyperparameters": {}, "auto_start": False}
        jobs = "/v1/fine_tuning/jobs"
        for given in ({}, {"invalid_sample_skip_percentage": 0.1}):
            told = refused(
                client.post(jobs, json=asked | given), 400, "1 of the 5 lines of 'train.jsonl' are wrong"
            )
            assert "line 3: is not valid JSON" in told["message"]
            assert told["param"] == "training_files.0"
        job = client.post(jobs, json=asked | {"invalid_sample_skip_percentage": 0.2})
        assert job.json()["status"] == "QUEUED"
    with asking(factory) as client:
        refused(upload(client, wrong, "again.jsonl"), 400, "not valid JSON", "invalid_data")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("train.jsonl.gz", b"\x1f\x8b" + bytes(50), "unpack it first"),
        ("train.zip", b"PK\x03\x04", "unpack it first"),
        ("train.zst", b"\x28\xb5\x2f\xfd", "unpack it first"),
        ("train.csv", b"text,label\n", "modwright data import"),
        ("a" * 501, GOOD, "501 characters"),
        (" ", GOOD, "empty filename"),
    ],
)
def test_a_file_that_its_name_says_is_no_jsonl_is_refused(client, factory, name, content, told):
    assert refused(upload(client, content, name), 400, told)["param"] == "file"
    assert left(factory) == (0, 0)


@pytest.mark.parametrize(
    "packed", [b"\x1f\x8b\x08\x00" + bytes(99), b"PK\x03\x04" + bytes(99), b"\x28\xb5\x2f\xfd00"]
)
def test_packed_content_under_an_honest_name_is_refused_unread(client, packed):
    refused(upload(client, packed), 400, "expected text (unpack it", "invalid_data")


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "/tmp/x.jsonl",
        "..\\x.jsonl",
        "a\x1b[31m\u202e鵝.jsonl",
        "x" * 500,
        "a%2e%2e%00",
    ],
)
def test_any_name_is_data(client, factory, name):
    sent = upload(client, name=name)
    assert sent.status_code == 200, sent.text
    made = sent.json()
    if "\x1b" not in name:  # the client itself escapes that one
        assert made["filename"] == name
    answer = client.get(f"/v1/files/{made['id']}/content")
    assert answer.content == GOOD
    assert answer.headers["content-disposition"].isascii()
    assert left(factory) == (1, 1)


def test_files_of_other_purposes_are_stored_unread_or_refused(client, factory):
    made = upload(client, b"\x00\xff", "a.bin", purpose="user_data").json()
    assert (made["purpose"], made["num_lines"], made["summary"]) == ("user_data", None, None)
    assert client.get(f"/v1/files/{made['id']}/content").content == b"\x00\xff"
    refused(upload(client, purpose="batch"), 422, "of no use here", "unprocessable")
    refused(upload(client, purpose="fine_tune"), 400, "did you mean 'fine-tune'?")
    assert left(factory) == (1, 1)


def test_a_purpose_behind_the_file_counts(client):
    form = [("file", ("a.csv", b"a,b")), ("purpose", (None, "user_data"))]
    assert client.post("/v1/files", files=form).json()["purpose"] == "user_data"
    form[1] = ("purpose", (None, "fine-tune"))
    refused(client.post("/v1/files", files=form), 400, "ends in '.csv'")


@pytest.mark.parametrize(
    ("fields", "lasts_s"),
    [
        ({"expiry": "2"}, 7_200),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}, 3_600),
    ],
)
def test_an_expiry_in_either_dialect_is_one_moment(client, fields, lasts_s):
    made = upload(client, **fields).json()
    assert made["expires_at"] - made["created_at"] in (lasts_s, lasts_s + 1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"expiry": "0"}, "expiry: "),
        ({"expiry": "a"}, "expiry: "),
        ({"expires_after[seconds]": "0"}, "expires_after.seconds: "),
        ({"expires_after[anchor]": "created_at"}, "expires_after.seconds: is missing"),
        ({"expires_after[anchor]": "now", "expires_after[seconds]": "1"}, "expires_after.anchor: "),
        ({"expiry": "1", "expires_after[seconds]": "1"}, "give one"),
        ({"visibility": "all"}, "visibility: "),
        ({"purposes": "fine-tune"}, "did you mean 'purpose'?"),
    ],
)
def test_a_wrong_field_is_named(client, factory, fields, told):
    refused(upload(client, **fields), 400, told)
    assert left(factory) == (0, 0)


def test_pages_go_on_by_number_and_by_cursor_and_end(client):
    ids = [upload(client, name=f"{n}.jsonl").json()["id"] for n in range(7)]
    newest = ids[::-1]

    def page(**query):
        body = client.get("/v1/files", params=query).json()
        assert (body["first_id"], body["last_id"]) == (
            (body["data"][0]["id"], body["data"][-1]["id"]) if body["data"] else (None, None)
        )
        return [item["id"] for item in body["data"]], body["total"], body["has_more"]

    assert page() == (newest, 7, False)
    assert page(page=0, page_size=3) == (newest[:3], 7, True)
    assert page(page=2, page_size=3) == (newest[6:], 7, False)
    assert page(page=3, page_size=3) == ([], 7, False)
    assert page(after=newest[2], limit=3) == (newest[3:6], 7, True)
    assert page(after=newest[5], limit=3) == (newest[6:], 7, False)
    assert page(order="asc", limit=2) == (ids[:2], 7, True)
    assert page(order="asc", page=1, page_size=2) == (ids[2:4], 7, True)
    assert page(order="asc", after=ids[1], limit=9) == (ids[2:], 7, False)
    seen, after = [], None
    for _ in range(9):
        found, _, more = page(limit=2, **({} if after is None else {"after": after}))
        seen, after = seen + found, found[-1]
        if not more:
            break
    assert seen == newest


def test_filters_of_the_list(client):
    upload(client, name="Train.jsonl")
    upload(client, b"x", "notes.bin", purpose="user_data")

    def names(query):
        return [item["filename"] for item in client.get(f"/v1/files?{query}").json()["data"]]

    assert names("search=TRAIN") == ["Train.jsonl"]
    assert names("search=%25") == []
    assert names("purpose=user_data") == ["notes.bin"]
    assert names("purpose=batch") == []
    assert names("sample_type=instruct&sample_type=raw") == ["notes.bin", "Train.jsonl"]
    assert names("sample_type=raw&source=upload") == ["notes.bin"]
    assert names("mimetypes=application/jsonl") == ["Train.jsonl"]
    assert names("include_total=false") == ["notes.bin", "Train.jsonl"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("page=-1", "page: "),
        ("page_size=0", "page_size: "),
        ("limit=10001", "limit: "),
        ("order=up", "order: "),
        ("pagesize=3", "did you mean 'page_size'?"),
        ("limit=1&limit=2", "limit: is given twice"),
        ("search=%00", "NUL"),
    ],
)
def test_a_wrong_query_is_named(client, query, told):
    refused(client.get(f"/v1/files?{query}"), 400, told)


@pytest.mark.parametrize("file_id", ["x", "..", "%00", "é", "a" * 3_000])
def test_an_id_of_nothing_is_404(client, file_id):
    for path in (f"/v1/files/{file_id}", f"/v1/files/{file_id}/content"):
        response = client.get(path)
        assert response.status_code in (400, 404), response.text
        assert response.json()["object"] == "error"


def test_an_address_works_without_a_key_for_its_file_and_time_only(keyed, monkeypatch):
    _, client = keyed
    made, other = upload(client).json(), upload(client, name="b.jsonl").json()
    told = client.get(f"/mistral/v1/files/{made['id']}/url", params={"expiry": 1}).json()
    url = told["url"]
    assert url.startswith(f"http://localhost:8000/mistral/v1/files/{made['id']}/content?token=")
    key_for(keyed, "default", Scope.READ)
    assert client.get(f"/v1/files/{made['id']}/content").status_code == 401
    assert client.get(url).content == GOOD
    refused(
        client.get(url.replace(made["id"], other["id"])), 401, "this address is not valid", "unauthorized"
    )
    refused(client.get(url[:-9] + "a" + url[-8:]), 401, "this address is not valid", "unauthorized")
    refused(client.get(f"/v1/files/{made['id']}/content?token=x"), 401, "not valid", "unauthorized")
    assert client.get(url.replace("/content", "")).status_code == 401
    monkeypatch.setattr("modwright.api.routes.files.time.time", lambda: told["expires_at"])
    refused(client.get(url), 401, "no longer", "unauthorized")


@pytest.mark.parametrize("expiry", ["0", "169", "a"])
def test_an_address_lasts_a_week_at_most(client, expiry):
    made = upload(client).json()
    refused(client.get(f"/v1/files/{made['id']}/url?expiry={expiry}"), 400, "expiry: ")


def test_another_project_finds_nothing(keyed):
    factory, client = keyed
    made = upload(client).json()
    headers = key_for(keyed, factory.projects.create("other").id, *Scope)
    path = f"/v1/files/{made['id']}"
    for response in (
        client.get(path, headers=headers),
        client.get(path + "/content", headers=headers),
        client.get(path + "/url", headers=headers),
        client.delete(path, headers=headers),
    ):
        refused(response, 404, "there is no file", "not_found")
    assert client.get("/v1/files", headers=headers).json()["total"] == 0
    mine = upload(client, headers=headers).json()
    assert mine["id"] != made["id"]
    assert mine["sha256"] == made["sha256"]


def test_reading_needs_read_and_changing_needs_train(keyed):
    factory, client = keyed
    headers = key_for(keyed, "default", Scope.READ)
    assert client.get("/v1/files", headers=headers).status_code == 200
    refused(upload(client, headers=headers), 403, "lacks the scope 'train'", "forbidden")
    refused(client.delete("/v1/files/a", headers=headers), 403, "lacks the scope 'train'", "forbidden")
    assert left(factory) == (0, 0)


def test_what_is_no_form_is_refused(client, factory):
    refused(client.post("/v1/files", json={}), 415, "multipart/form-data", "unsupported_media_type")
    refused(client.post("/v1/files", data={"purpose": "fine-tune"}), 415, "", "unsupported_media_type")
    kind = {"content-type": "multipart/form-data; boundary=b"}
    refused(client.post("/v1/files", content=b"--b\r\n", headers=kind), 400, "closing boundary")
    assert left(factory) == (0, 0)


def test_a_content_that_the_store_has_lost_is_told(client, factory):
    made = upload(client).json()
    for path in (factory.blobs._aside.parent / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    response = client.get(f"/v1/files/{made['id']}/content")
    assert response.status_code == 500
    assert response.json()["code"] == "integrity"


def test_the_document_tells_every_route_and_status(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/files"]) == {"get", "post"}
    assert set(paths["/v1/files/{file_id}"]) == {"get", "delete"}
    statuses = set(paths["/v1/files"]["post"]["responses"])
    assert statuses >= {"200", "400", "401", "403", "413", "415", "422", "429", "503", "507"}
    form = paths["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    content = paths["/v1/files/{file_id}/content"]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/octet-stream"}
    assert {item["name"] for item in paths["/v1/files"]["get"]["parameters"]} >= {"after", "page", "purpose"}


def test_the_page_tells_every_path_field_and_key(client):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "http-files.md").read_text()
    document = client.get("/openapi.json").json()
    paths = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith("/v1/files")
    }
    assert set(re.findall(r"^\| (GET|POST|DELETE) `(\S+)` \|", page, re.M)) == paths
    fields = set(re.findall(r"^\| `(\S+)` \|", page.partition("## Uploads")[2].partition("## What")[0], re.M))
    assert fields == {"file", *UPLOAD_FIELDS}
    shown = json.loads(page.partition("## A file")[2].split("```")[1].removeprefix("json").replace("…", ""))
    assert list(shown) == list(FileBody.model_fields)
    listed = page.partition("## Lists")[2]
    assert all(f"`{name}`" in listed for name in FileQuery.model_fields)
