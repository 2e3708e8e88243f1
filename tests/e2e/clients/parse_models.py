"""Read the kept bodies of models with whatever client is installed here: parse_models.py FOLDER. Prints "passed".

A server in a thread answers with the files, so that each body takes the client's own way through its models. Runs under
many versions of both clients, so it knows nothing of modwright or pytest.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLDER = Path(sys.argv[1])
BODIES = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
CARDS = ("fine_tuned", "served_from_a_folder", "base")
ID = BODIES["fine_tuned"]["id"]


def body_of(method, path):
    """Return the kept body that answers a request."""
    kind, _, rest = path.partition("/models")
    name = unquote(rest.strip("/"))
    if kind.endswith("/fine_tuning"):
        if method == "PATCH":
            return BODIES["fine_tuned"]
        assert name == f"{ID}/archive", name
        return BODIES["archive" if method == "POST" else "unarchive"]
    if method == "DELETE":
        return BODIES["delete"]
    return BODIES[name or "list"]


class Answer(BaseHTTPRequestHandler):
    """Answers as the server's routes do, out of the files."""

    def do_GET(self):
        """Answer one request."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.dumps(body_of(self.command, urlsplit(self.path).path)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *arguments):
        """Say nothing."""


def type_of(card):
    """Return a card's type, which 1.x calls a constant."""
    return card.TYPE if hasattr(card, "TYPE") else card.type


def read_with_mistral(url):
    """List, show, change, archive and delete."""
    if int(version("mistralai").split(".")[0]) >= 2:
        from mistralai.client import Mistral
    else:
        from mistralai import Mistral
    client = Mistral(api_key="unused", server_url=url)
    models = client.models
    listed = {card.id: card for card in models.list().data}
    assert {type_of(card) for card in listed.values()} == {"fine-tuned", "base"}
    for name in CARDS:
        kept, card = BODIES[name], models.retrieve(model_id=name)
        for shown in (card, listed[kept["id"]]):
            assert (shown.id, type_of(shown), shown.name) == (kept["id"], kept["type"], kept["name"])
            assert shown.capabilities.completion_chat is False
            assert shown.capabilities.fine_tuning is (name == "base")
        if name != "base":
            assert (card.root, card.job, card.archived) == (kept["root"], kept["job"], False)
    changed = models.update(model_id=ID, name="a name", description="what it is for")
    kept = BODIES["fine_tuned"]
    assert type(changed).__name__ in ("ClassifierFTModelOut", "ClassifierFineTunedModel"), type(changed)
    assert (changed.id, changed.root, changed.archived) == (ID, kept["root"], False)
    assert getattr(changed, "workspace_id", kept["workspace_id"]) == kept["workspace_id"]  # not in 1.7.0
    assert [target.name for target in changed.classifier_targets] == ["moderation", "tone"]
    assert [target.loss_function for target in changed.classifier_targets] == ["multi_class", "single_class"]
    assert models.archive(model_id=ID).archived is True
    assert models.unarchive(model_id=ID).archived is False
    assert models.delete(model_id=ID).deleted is True
    return version("mistralai")


def read_with_openai(url):
    """List, show and delete; and fit each card to its model strictly, which the client itself does not."""
    import openai

    models = openai.OpenAI(api_key="unused", base_url=f"{url}/v1").models
    assert [card.id for card in models.list()] == [card["id"] for card in BODIES["list"]["data"]]
    for name in CARDS:
        card = models.retrieve(name)
        type(card).model_validate(BODIES[name])
        assert (card.object, card.owned_by) == ("model", "modwright")
    gone = models.delete(ID)
    assert (gone.id, gone.object, gone.deleted) == (ID, "model", True)
    return openai.__version__


def main():
    """Serve the files to the client that is here."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        version("mistralai")
    except PackageNotFoundError:
        print("passed", read_with_openai(url))
    else:
        print("passed", read_with_mistral(url))


main()
