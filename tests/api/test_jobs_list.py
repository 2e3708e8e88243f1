"""The list of jobs: every filter of both dialects, pages and cursors that end."""

import pytest
from job_server import JOBS, OPENAI, JobServer

from modwright.jobs.states import Status


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Seven jobs, the newest last: of several models, suffixes, trackers and states."""
    server = JobServer(tmp_path_factory.mktemp("home"))
    file = server.file()
    tracker = [{"type": "wandb", "project": "watch", "name": "first"}]
    wanted = [
        {"model": "fast"},
        {"model": "balanced"},
        {"model": "fast", "suffix": "one"},
        {"model": "fast", "suffix": "two"},
        {"model": "fast", "integrations": tracker, "hyperparameters": {"training_steps": 9}},
    ]
    server.made = [server.create(training_files=[file], **body)["id"] for body in wanted]
    for n, team in enumerate(("geese", "ducks")):
        body = {
            "model": "quality",
            "training_file": file,
            "metadata": {"team": team, "n": str(n)},
            "suffix": team,
        }
        answer = server.client.post(JOBS, json=body)
        server.made.append(answer.json()["id"])
    server.post(server.made[0], "/cancel")
    yield server
    server.close()


def listed(server, code=200, /, headers=None, **query):
    response = server.client.get(JOBS, params=query, headers=headers)
    assert response.status_code == code, response.text
    return response.json()


def places(server, **query):
    """Return which of the made jobs a filter shows, newest first."""
    return [server.made.index(job["id"]) for job in listed(server, **query)["data"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"model": "balanced"}, [1]),
        ({"suffix": "two"}, [3]),
        ({"status": "CANCELLED"}, [0]),
        ({"status": "QUEUED"}, [6, 5, 4, 3, 2, 1]),
        ({"wandb_project": "watch"}, [4]),
        ({"wandb_name": "first"}, [4]),
        ({"wandb_name": "second"}, []),
        ({"metadata[team]": "geese"}, [5]),
        ({"metadata[team]": "geese", "metadata[n]": "1"}, []),
        ({"metadata": "null"}, [4, 3, 2, 1, 0]),
        ({"metadata": "null", "model": "balanced"}, [1]),
        ({"metadata[team]": "null"}, []),
        ({"model": "fast", "status": "QUEUED"}, [4, 3, 2]),
        ({"created_after": "2000-01-01T00:00:00Z"}, [6, 5, 4, 3, 2, 1, 0]),
        ({"created_before": "2000-01-01T00:00:00Z"}, []),
        ({"created_after": "2100-01-01T00:00:00"}, []),
        ({"created_by_me": "false"}, [6, 5, 4, 3, 2, 1, 0]),
        ({"page": 1, "page_size": 3}, [3, 2, 1]),
        ({"page": 9, "page_size": 3}, []),
        ({"limit": 2}, [6, 5]),
    ],
)
def test_filters_and_pages(server, query, expected):
    assert places(server, **query) == expected


def test_a_page_says_how_many_there_are_and_whether_more(server):
    first = listed(server, page=0, page_size=4)
    assert (first["object"], first["total"], first["has_more"]) == ("list", 7, True)
    assert (first["first_id"], first["last_id"]) == (server.made[6], server.made[3])
    assert listed(server, page=1, page_size=4)["has_more"] is False
    assert listed(server, page=0, page_size=7)["has_more"] is False


@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_a_cursor_ends_and_shows_each_once(server, size):
    seen, query = [], {"limit": size}
    for _ in range(10):
        page = listed(server, headers=OPENAI, **query)
        seen += [job["id"] for job in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    assert seen == server.made[::-1]
    assert listed(server, after=seen[-1])["data"] == []


def test_each_dialect_sees_the_others_jobs_in_its_own_words(server):
    assert {job["object"] for job in listed(server)["data"]} == {"job"}
    ours = listed(server, headers=OPENAI)["data"]
    assert {job["object"] for job in ours} == {"fine_tuning.job"}
    assert [job["status"] for job in ours] == ["queued"] * 6 + ["cancelled"]


@pytest.mark.parametrize(
    ("query", "where", "told"),
    [
        ({"page_size": 0}, "page_size", "greater than or equal to 1"),
        ({"page_size": 5000}, "page_size", "less than or equal to 1000"),
        ({"page": -1}, "page", "greater than or equal to 0"),
        ({"limit": "ten"}, "limit", "integer"),
        ({"status": "DONE"}, "status", "is no status"),
        ({"status": "paused"}, "status", "is no status"),
        ({"created_after": "yesterday"}, "created_after", "datetime"),
        ({"created_by_me": "perhaps"}, "created_by_me", "boolean"),
        ({"modle": "fast"}, "modle", "did you mean 'model'"),
        ({"metadata": "geese"}, "metadata", "names its key"),
        ({"metadata": ""}, "metadata", "names its key"),
        ({"metadata": "null", "metadata[team]": "geese"}, "metadata", "metadata=null alone"),
        ({"model": "a\0"}, "model", "NUL"),
        ({"model": "a" * 600}, "model", "at most 500"),
    ],
)
def test_a_wrong_query_is_refused_at_its_key(server, query, where, told):
    answer = listed(server, 400, **query)
    assert answer["param"] == where
    assert told in answer["message"]


def test_a_key_given_twice_is_refused(server):
    assert server.client.get(f"{JOBS}?model=a&model=b").status_code == 400


@pytest.mark.parametrize("path", ["events", "checkpoints"])
@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "ftevent--1"}, {"after": "ftevent-" + "9" * 30}, {"limit": 0}]
)
def test_a_wrong_cursor_of_a_page_is_refused(server, path, query):
    answer = server.get(server.made[1], f"/{path}", status=400, **query)
    assert answer["param"] in ("after", "limit")


def test_an_unknown_job_is_not_found(server):
    for path in ("", "/events", "/checkpoints"):
        assert "no job 'nobody'" in server.get("nobody", path, status=404)["message"]
    assert listed(server, 404, after="nobody")["object"] == "error"
    assert server.client.get(f"{JOBS}/..%2F..%2Fetc").status_code == 404


def test_every_status_can_be_asked_for(server):
    for status in Status:
        assert {job["status"] for job in listed(server, status=status.lower())["data"]} <= {str(status)}
