"""Drive a running server with whatever `mistralai` is installed here: drive_mistral.py URL. Prints "passed".

Runs under many versions, so it imports by version and knows nothing of modwright or pytest.
"""

import sys
from importlib.metadata import version

VERSION = tuple(int(part) for part in version("mistralai").split(".")[:3])
if VERSION >= (2, 0, 0):
    from mistralai.client import Mistral, errors

    CHAT_INPUT, SDK_ERROR = "input", errors.SDKError
else:
    from mistralai import Mistral, models

    CHAT_INPUT, SDK_ERROR = "inputs", models.SDKError

RUDE = "silly goose goose"
USER = {"role": "user", "content": "Hello, who are you?"}
BOT = {"role": "assistant", "content": RUDE}
CALLS = [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]


def refused(status, told, call, *arguments, **more):
    """Check that a call raises the client's error with a status and a message."""
    raised = None
    try:
        call(*arguments, **more)
    except SDK_ERROR as error:
        raised = error
    assert raised is not None, f"{told}: nothing was raised"
    assert raised.status_code == status, (status, raised.status_code, raised.body)
    assert told in raised.body, (told, raised.body)


def check_classified(response, count):
    """Check the shape and values of classifications; the first is rude."""
    assert response.model == "goose"
    assert len(response.id) == 32
    assert len(response.results) == count
    for result in response.results:
        assert list(result) == ["moderation", "tone"]
        assert list(result["moderation"].scores) == ["insult", "threat", "safe"]
        assert all(0.0 <= score <= 1.0 for score in result["moderation"].scores.values())
    assert response.results[0]["moderation"].scores["insult"] > 0.5
    assert abs(sum(response.results[0]["tone"].scores.values()) - 1) < 1e-6


def check_moderated(response, flags):
    """Check the shape of moderations and whether each is an insult."""
    assert response.id.startswith("mod-")
    assert [result.categories["insult"] for result in response.results] == flags
    for result in response.results:
        assert set(result.categories) == set(result.category_scores) == {"insult", "threat"}


def classify(client):
    """Classify texts and conversations."""
    check_classified(client.classifiers.classify(model="goose", inputs=RUDE), 1)
    check_classified(client.classifiers.classify(model="goose", inputs=[RUDE, "hello"]), 2)
    check_classified(client.classifiers.classify(model="goose", inputs=[RUDE] * 100), 100)
    chat = {"messages": [USER, BOT]}
    check_classified(client.classifiers.classify_chat(model="goose", **{CHAT_INPUT: chat}), 1)
    check_classified(client.classifiers.classify_chat(model="goose", **{CHAT_INPUT: [chat, chat]}), 2)
    silent = {"role": "assistant", "content": None, "tool_calls": CALLS}
    tool = {"role": "tool", "content": "4", "tool_call_id": "a", "name": "f"}
    called = {"messages": [USER, silent, tool, BOT]}
    check_classified(client.classifiers.classify_chat(model="goose", **{CHAT_INPUT: called}), 1)
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": RUDE}]}]}
    check_classified(client.classifiers.classify_chat(model="goose", **{CHAT_INPUT: parts}), 1)


def moderate(client):
    """Moderate texts and conversations."""
    check_moderated(client.classifiers.moderate(model="goose", inputs=RUDE), [True])
    check_moderated(client.classifiers.moderate(model="goose", inputs=["hello", RUDE]), [False, True])
    check_moderated(client.classifiers.moderate_chat(model="goose", inputs=[USER, BOT]), [True])
    check_moderated(
        client.classifiers.moderate_chat(model="goose", inputs=[[USER], [USER, BOT]]), [False, True]
    )


def list_models(client):
    """List and retrieve models; every attribute a user reads is there."""
    cards = client.models.list().data
    assert [card.id for card in cards] == ["goose"]
    alias = cards[0].aliases[0]
    for card in (cards[0], client.models.retrieve(model_id="goose"), client.models.retrieve(model_id=alias)):
        assert "FTModel" in type(card).__name__  # 1.7 names the attribute TYPE
        assert (card.id, card.owned_by, card.object) == ("goose", "modwright", "model")
        assert card.created == 1_700_000_000
        assert card.archived is False
        assert card.capabilities.completion_chat is False
        assert card.capabilities.fine_tuning is False
        if VERSION > (1, 7, 0):  # that one does not know the capability yet
            assert card.capabilities.classification is True
        assert card.job
        assert card.root


def errors_are_told(client):
    """Check that errors arrive as the client's own, and say what is wrong."""
    classifiers = client.classifiers
    refused(404, "did you mean 'goose'?", classifiers.classify, model="gose", inputs=RUDE)
    refused(404, "did you mean 'goose'?", classifiers.moderate, model="gose", inputs=RUDE)
    refused(404, "unknown model", client.models.retrieve, model_id="swan/2:x")
    refused(400, "holds no input", classifiers.classify, model="goose", inputs=[])
    refused(400, "input.1: is empty", classifiers.moderate, model="goose", inputs=["a", ""])
    image = [{"type": "image_url", "image_url": "https://example.org/a.png"}]
    chat = {"messages": [{"role": "user", "content": image}]}
    refused(400, "a part of type 'image_url'", classifiers.classify_chat, model="goose", **{CHAT_INPUT: chat})
    refused(
        400,
        "expected at least one",
        classifiers.classify_chat,
        model="goose",
        **{CHAT_INPUT: {"messages": []}},
    )
    last = [USER, {"role": "assistant", "content": None, "tool_calls": CALLS}]
    refused(400, "tool calls are not judged", classifiers.moderate_chat, model="goose", inputs=last)


def main(url):
    """Run everything against a server, by its root and by the dialect's prefix."""
    for server_url in (url, f"{url}/mistral", f"{url}/"):
        client = Mistral(api_key="unused", server_url=server_url)
        for part in (classify, moderate, list_models, errors_are_told):
            part(client)
    print("passed", ".".join(map(str, VERSION)))


main(sys.argv[1])
