"""Drive a running server's files with whatever `mistralai` or `openai` is installed here: drive_files.py URL.

Runs under many versions, so it imports by what it finds and knows nothing of modwright or pytest. Prints "passed".
"""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path

ROWS = [
    {"text": "you are a silly goose", "labels": {"moderation": ["insult"]}},
    {"text": "hello there", "labels": {"moderation": ["safe"]}},
]
GOOD = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
BAD = GOOD + b'{"text": 3, "labels": {"moderation": ["insult"]}}\nnope\n'


def with_mistral(url):
    """Upload, list, page, retrieve, download, link and delete, as Mistral's documentation does."""
    try:
        from mistralai.client import Mistral, errors
    except ImportError:
        from mistralai import Mistral
        from mistralai import models as errors
    for server_url in (url, f"{url}/mistral"):
        client = Mistral(api_key="unused", server_url=server_url)  # 1.7 closes itself when it is let go
        files = client.files
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "training_file.jsonl"
            path.write_bytes(GOOD)
            with path.open("rb") as stream:  # as the notebooks do, without a purpose
                made = files.upload(file={"file_name": "training_file.jsonl", "content": stream})
        again = files.upload(file={"file_name": "training_file.jsonl", "content": GOOD}, purpose="fine-tune")
        assert again.id == made.id
        assert (made.object, made.size_bytes, made.num_lines) == ("file", len(GOOD), 2)
        assert (made.purpose, made.sample_type, made.source) == ("fine-tune", "instruct", "upload")
        other = files.upload(file={"file_name": "other.jsonl", "content": GOOD})
        listed = files.list()
        assert listed.total == 2
        assert [file.id for file in listed.data] == [other.id, made.id]
        assert [file.id for file in files.list(page=1, page_size=1).data] == [made.id]
        found = files.list(
            search="training", purpose="fine-tune", sample_type=["instruct"], source=["upload"]
        )
        assert [file.id for file in found.data] == [made.id]
        shown = files.retrieve(file_id=made.id)
        assert (shown.filename, shown.deleted) == ("training_file.jsonl", False)
        assert getattr(shown, "mimetype", "application/jsonl") == "application/jsonl"  # 1.7 does not know it
        assert files.download(file_id=made.id).read() == GOOD
        with urllib.request.urlopen(files.get_signed_url(file_id=made.id, expiry=1).url) as answer:
            assert answer.read() == GOOD
        for file in (made, other):
            assert files.delete(file_id=file.id).deleted is True
        bad, good = {"file_name": "bad.jsonl", "content": BAD}, {"file_name": "a.jsonl", "content": GOOD}
        refused(errors.SDKError, 400, "line 4", files.upload, file=bad)
        refused(errors.SDKError, 422, "of no use", files.upload, file=good, purpose="batch")
        refused(errors.SDKError, 404, "there is no file", files.retrieve, file_id=made.id)


def with_openai(url):
    """Create, wait, list to the end, retrieve, fetch and delete, as OpenAI's documentation does."""
    import openai

    for base_url in (f"{url}/v1", f"{url}/openai/v1"):
        files = openai.OpenAI(api_key="unused", base_url=base_url, max_retries=0).files
        made = files.create(file=("mydata.jsonl", GOOD), purpose="fine-tune")
        assert files.create(file=("mydata.jsonl", GOOD), purpose="fine-tune").id == made.id
        assert files.wait_for_processing(made.id).status == "processed"
        unnamed = files.create(file=GOOD, purpose="fine-tune")
        kept = [files.create(file=(f"{n}.bin", b"x"), purpose="user_data").id for n in range(5)]
        ids = [file.id for file in files.list(limit=2)]
        assert ids == [*kept[::-1], unnamed.id, made.id]
        assert [file.id for file in files.list()] == ids
        assert [file.id for file in files.list(order="asc", limit=3)] == ids[::-1]
        assert [file.id for file in files.list(purpose="fine-tune")] == [unnamed.id, made.id]
        shown = files.retrieve(made.id)
        assert (shown.object, shown.bytes, shown.filename) == ("file", len(GOOD), "mydata.jsonl")
        assert files.content(made.id).read() == GOOD
        after = {"anchor": "created_at", "seconds": 3600}
        expiring = files.create(
            file=("short.jsonl", GOOD), purpose="fine-tune", extra_body={"expires_after": after}
        )
        assert expiring.expires_at - expiring.created_at in (3600, 3601)
        for file_id in (*ids, expiring.id):
            assert files.delete(file_id).deleted is True
        bad, good = ("a.jsonl", BAD), ("a.jsonl", GOOD)
        refused(openai.BadRequestError, 400, "a.jsonl:3", files.create, file=bad, purpose="fine-tune")
        refused(openai.UnprocessableEntityError, 422, "of no use", files.create, file=good, purpose="batch")
        refused(openai.NotFoundError, 404, "there is no file", files.retrieve, made.id)


def refused(kind, status, told, call, *arguments, **more):
    """Check that a call raises the client's error with a status and a message."""
    raised = None
    try:
        call(*arguments, **more)
    except kind as error:
        raised = error
    assert raised is not None, f"{told}: nothing was raised"
    assert raised.status_code == status, (status, raised.status_code)
    assert told in str(getattr(raised, "body", "")) + str(raised), (told, str(raised))


try:
    import openai  # noqa: F401
except ImportError:
    with_mistral(sys.argv[1])
else:
    with_openai(sys.argv[1])
print("passed")
