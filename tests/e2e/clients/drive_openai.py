"""Drive a running server with whatever `openai` is installed here: drive_openai.py URL. Prints "passed".

Runs under many versions, so it knows nothing of modwright or pytest.
"""

import asyncio
import sys

import openai

RUDE = "silly goose goose"
OURS = {"insult", "threat"}


def refused(kind, told, call, *arguments, **more):
    """Check that a call raises one of the client's errors and that it carries the message, code and id."""
    raised = None
    try:
        call(*arguments, **more)
    except openai.APIStatusError as error:
        raised = error
    assert type(raised) is kind, (kind, raised)
    assert told in raised.body["message"]
    assert raised.code
    assert raised.type.endswith("_error")
    assert len(raised.request_id) == 32


def check_moderated(response, flags):
    """Check the shape of moderations and whether each is flagged."""
    assert response.id.startswith("mod-")
    assert response.model == "goose"
    assert [result.flagged for result in response.results] == flags
    for result in response.results:
        categories, scores = result.categories, result.category_scores
        assert set(categories.model_extra) >= OURS <= set(scores.model_extra)
        assert categories.insult is result.flagged
        assert categories.harassment_threatening is False
        assert categories.self_harm_instructions is False
        assert scores.violence_graphic == 0.0
        assert 0.0 <= scores.model_extra["insult"] <= 1.0
        applied = result.category_applied_input_types
        assert applied.model_extra["insult"] == ["text"]
        assert applied.hate == []


def moderate(client):
    """Moderate texts with and without a model, and parts as one input."""
    create = client.moderations.create
    check_moderated(create(input=RUDE), [True])
    check_moderated(create(model="goose", input=["hello", RUDE]), [False, True])
    parts = [{"type": "text", "text": "silly "}, {"type": "text", "text": "goose goose"}]
    check_moderated(create(input=parts), [True])
    text = "a goose and some other words"
    check_moderated(create(input=text), [False])
    check_moderated(create(input=text, extra_body={"operating_point": "strict"}), [True])


def classify(client):
    """Reach the classifications, for which the client has no call of its own."""
    body = client.post("/classifications", cast_to=object, body={"model": "goose", "input": RUDE})
    assert body["results"][0]["moderation"]["flags"] == ["insult"]


def list_models(client):
    """List and retrieve models."""
    cards = list(client.models.list())
    assert [card.id for card in cards] == ["goose"]
    for card in (cards[0], client.models.retrieve("goose")):
        assert (card.object, card.owned_by, card.created) == ("model", "modwright", 1_700_000_000)


def errors_are_told(client):
    """Check that errors arrive as the client's own, and say what is wrong."""
    create = client.moderations.create
    refused(openai.NotFoundError, "did you mean 'goose'?", create, model="gose", input=RUDE)
    refused(openai.NotFoundError, "unknown model", client.models.retrieve, "swan/2:x")
    refused(openai.BadRequestError, "holds no input", create, input=[])
    refused(openai.BadRequestError, "is empty", create, input="")
    image = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    ]
    refused(openai.BadRequestError, "a part of type 'image_url'", create, input=image)
    refused(
        openai.BadRequestError,
        "did you mean 'strict'?",
        create,
        input="a",
        extra_body={"operating_point": "strikt"},
    )
    refused(openai.NotFoundError, "no such path", client.post, "/moderation", cast_to=object, body={})


async def moderate_async(url):
    """Moderate with the asynchronous client, many at once."""
    async with openai.AsyncOpenAI(api_key="unused", base_url=url) as client:
        asked = [client.moderations.create(input=[RUDE] * (n % 3 + 1)) for n in range(20)]
        for n, response in enumerate(await asyncio.gather(*asked)):
            check_moderated(response, [True] * (n % 3 + 1))
        assert [card.id async for card in client.models.list()] == ["goose"]


def main(url):
    """Run everything against a server, by its root and by the dialect's prefix."""
    for base_url in (f"{url}/v1", f"{url}/openai/v1"):
        client = openai.OpenAI(api_key="unused", base_url=base_url, max_retries=0)
        for part in (moderate, classify, list_models, errors_are_told):
            part(client)
        asyncio.run(moderate_async(base_url))
    print("passed", openai.__version__)


main(sys.argv[1])
