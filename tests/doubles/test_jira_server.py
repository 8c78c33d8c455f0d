"""The Jira double, driven by the real jira package."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests
from jira import JIRA
from jira.exceptions import JIRAError

from tests.doubles.jira_issues import Site
from tests.doubles.jira_server import JiraServer
from tests.doubles.traffic import JsonObject

DEADLINE_S = 5.0
FIELDS: JsonObject = {
    "project": {"key": "OPS"},
    "issuetype": {"name": "Postmortem"},
    "summary": "llm-70b: restarted",
    "description": "h2. Timeline\nall of it",
    "labels": ["quell", "incident-abc"],
}
DOCUMENT: JsonObject = {
    "type": "doc",
    "version": 1,
    "content": [
        {
            "type": "heading",
            "attrs": {"level": 2},
            "content": [{"type": "text", "text": "Timeline"}],
        },
        {
            "type": "codeBlock",
            "content": [{"type": "text", "text": "systemctl restart vllm"}],
        },
    ],
}


@contextmanager
def connected(server: JiraServer, **options: Any) -> Iterator[JIRA]:
    """The package's client; its own retries sleep for seconds, so they are off."""
    if not options.keys() & {"basic_auth", "token_auth"}:
        options["basic_auth"] = (server.email, server.token)
    with closing(JIRA(server.url, max_retries=0, **options)) as client:
        yield client


@pytest.fixture
def client(jira: JiraServer) -> Iterator[JIRA]:
    with connected(jira) as made:
        yield made


def test_an_issue_is_created_and_read_back(jira: JiraServer, client: JIRA) -> None:
    issue = client.create_issue(fields=FIELDS)
    assert issue.key == "OPS-1"
    assert issue.fields.summary == "llm-70b: restarted"
    assert issue.fields.description == "h2. Timeline\nall of it"
    assert issue.fields.labels == ["quell", "incident-abc"]
    assert issue.fields.issuetype.name == "Postmortem"
    (kept,) = jira.issues()
    assert (kept.key, kept.project, kept.summary) == ("OPS-1", "OPS", "llm-70b: restarted")
    assert jira.refusals() == ()


def test_the_package_may_look_the_project_and_type_up(jira: JiraServer, client: JIRA) -> None:
    fields = FIELDS | {"project": "PM", "issuetype": "Task"}
    assert client.create_issue(fields=fields, prefetch=False).key == "PM-1"
    assert [r.call for r in jira.requests()][-3:] == ["project", "project", "create_issue"]


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param({"basic_auth": ("quell@jira.example", "jira-double-token")}, id="basic"),
        pytest.param({"token_auth": "jira-double-token"}, id="bearer"),
    ],
)
def test_both_ways_to_authenticate_work(jira: JiraServer, credentials: JsonObject) -> None:
    with connected(jira, **credentials) as client:
        assert client.myself()["active"] is True


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param({"basic_auth": ("quell@jira.example", "stale")}, id="wrong token"),
        pytest.param({"token_auth": "stale"}, id="wrong bearer"),
        pytest.param({"basic_auth": None}, id="none"),
    ],
)
def test_wrong_credentials_are_refused(jira: JiraServer, credentials: JsonObject) -> None:
    with (
        connected(jira, get_server_info=False, **credentials) as client,
        pytest.raises(JIRAError) as caught,
    ):
        client.create_issue(fields=FIELDS)
    assert caught.value.status_code == 401
    assert jira.issues() == ()


BAD_FIELDS = [
    pytest.param({"summary": "x" * 256}, "summary", "can't exceed 255", id="long summary"),
    pytest.param({"summary": ""}, "summary", "must specify a summary", id="no summary"),
    pytest.param({"summary": "a\nb"}, "summary", "newline", id="summary of two lines"),
    pytest.param({"description": "x" * 32_768}, "description", "32,767", id="long description"),
    pytest.param({"description": DOCUMENT}, "description", "string", id="document to version 2"),
    pytest.param({"project": {"key": "NO"}}, "project", "valid project", id="unknown project"),
    pytest.param({"issuetype": {"name": "No"}}, "issuetype", "valid issue type", id="unknown type"),
    pytest.param({"labels": ["a b"]}, "labels", "contains spaces", id="label with a space"),
    pytest.param({"labels": "quell"}, "labels", "array", id="labels as text"),
    pytest.param({"colour": "red"}, "colour", "cannot be set", id="unknown field"),
    pytest.param({"priority": {"name": "P1"}}, "priority", "Priority", id="unknown priority"),
]


@pytest.mark.parametrize(("changed", "field", "message"), BAD_FIELDS)
def test_wrong_fields_are_refused_in_jiras_shape(
    jira: JiraServer, client: JIRA, changed: JsonObject, field: str, message: str
) -> None:
    with pytest.raises(JIRAError) as caught:
        client.create_issue(fields=FIELDS | changed)
    assert caught.value.status_code == 400
    assert caught.value.response is not None
    body = caught.value.response.json()
    assert body["errorMessages"] == []
    assert list(body["errors"]) == [field]
    assert message in body["errors"][field]
    assert jira.issues() == ()
    assert jira.refusals()[0].answer == body


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"summary": "x" * 255}, id="summary of 255"),
        pytest.param({"description": "x" * 32_767}, id="description of 32,767"),
        pytest.param({"priority": {"name": "High"}}, id="a priority"),
    ],
)
def test_fields_at_their_limits_are_taken(client: JIRA, changed: JsonObject) -> None:
    assert client.create_issue(fields=FIELDS | changed).key == "OPS-1"


def test_version_3_takes_documents_only(jira: JiraServer) -> None:
    with connected(jira, options={"rest_api_version": "3"}) as client:
        with pytest.raises(JIRAError, match="Atlassian Document"):
            client.create_issue(fields=FIELDS)
        issue = client.create_issue(fields=FIELDS | {"description": DOCUMENT})
        assert issue.raw["fields"]["description"] == DOCUMENT
        for node in ({"type": "marquee"}, {"type": "rule", "colour": "red"}):
            with pytest.raises(JIRAError, match="Atlassian Document"):
                client.create_issue(fields=FIELDS | {"description": DOCUMENT | {"content": [node]}})
    with connected(jira) as second:
        assert second.issue("OPS-1").fields.description == "Timeline\nsystemctl restart vllm"


def test_a_new_issue_is_found_only_once_it_is_indexed(jira: JiraServer, client: JIRA) -> None:
    jql = 'project = OPS AND labels = "incident-abc"'
    client.create_issue(fields=FIELDS)
    assert list(client.search_issues(jql)) == []
    jira.index_now()
    (found,) = client.search_issues(jql)
    assert (found.key, found.fields.summary) == ("OPS-1", "llm-70b: restarted")
    client.create_issue(fields=FIELDS)
    assert len(client.search_issues(jql)) == 1


def test_an_issue_that_is_named_is_found_before_it_is_indexed(client: JIRA) -> None:
    issue = client.create_issue(fields=FIELDS)
    jql = "labels = incident-abc"
    (found,) = client.enhanced_search_issues(jql, reconcileIssues=[int(issue.id)], use_post=True)
    assert found.key == "OPS-1"


def test_a_site_may_index_at_once() -> None:
    with JiraServer(Site(searchable_at_once=True)) as jira, connected(jira) as client:
        client.create_issue(fields=FIELDS)
        assert len(client.search_issues("project = OPS")) == 1


QUERIES = [
    ("project = OPS", ["OPS-2", "OPS-1"]),
    ("project in (OPS, PM) ORDER BY created ASC", ["OPS-1", "OPS-2", "PM-1"]),
    ("labels = 'incident-b'", ["OPS-2"]),
    ("labels in (incident-a, incident-b) order by key", ["OPS-1", "OPS-2"]),
    ("project = OPS AND labels != incident-b", ["OPS-1"]),
    ("labels not in (incident-a, incident-b)", ["PM-1"]),
    ('summary ~ "GPU" AND issuetype = Task', ["PM-1"]),
    ('summary ~ "gp"', []),
    ("key = OPS-2", ["OPS-2"]),
    ('labels = "no-such-label"', []),
]


@pytest.mark.parametrize(("jql", "keys"), QUERIES, ids=[jql for jql, _ in QUERIES])
def test_a_search_finds_what_the_query_says(
    jira: JiraServer, client: JIRA, jql: str, keys: list[str]
) -> None:
    client.create_issue(fields=FIELDS | {"labels": ["incident-a"]})
    client.create_issue(fields=FIELDS | {"labels": ["incident-b"]})
    client.create_issue(
        fields=FIELDS
        | {
            "project": {"id": "10101"},
            "issuetype": {"name": "Task"},
            "summary": "gpu leak",
            "labels": [],
        }
    )
    jira.index_now()
    assert [issue.key for issue in client.search_issues(jql)] == keys


@pytest.mark.parametrize(
    ("jql", "message"),
    [
        ("", "Unbounded"),
        ("order by created", "Unbounded"),
        ("colour = red", "Field 'colour' does not exist"),
        ("project = NO", "value 'NO' does not exist"),
        ("labels ~ quell", "operator '~' is not supported"),
        ("project = OPS OR labels = a", "Expecting 'and'"),
        ("project =", "Expecting a value"),
        ("labels in (a", "Expecting"),
        ('labels = "a', "unexpected character"),
        ("project = OPS order by colour", "Not able to sort"),
    ],
)
def test_a_wrong_query_is_refused(client: JIRA, jql: str, message: str) -> None:
    with pytest.raises(JIRAError) as caught:
        client.search_issues(jql)
    assert caught.value.status_code == 400
    assert message in (caught.value.text or "")


def test_pages_of_a_search_are_followed(jira: JiraServer, client: JIRA) -> None:
    for _ in range(3):
        client.create_issue(fields=FIELDS, prefetch=False)
    jira.index_now()
    page = client.enhanced_search_issues("project = OPS", maxResults=2)
    rest = client.enhanced_search_issues("project = OPS", nextPageToken=page.nextPageToken)
    assert [issue.key for issue in (*page, *rest)] == ["OPS-3", "OPS-2", "OPS-1"]
    assert rest.nextPageToken is None


def test_a_cloud_search_without_fields_gives_ids_alone(jira: JiraServer, client: JIRA) -> None:
    client.create_issue(fields=FIELDS)
    jira.index_now()
    answer = requests.get(
        f"{jira.url}/rest/api/3/search/jql",
        params={"jql": "project = OPS"},
        auth=(jira.email, jira.token),
        timeout=DEADLINE_S,
    )
    assert answer.json() == {"issues": [{"id": "10000"}], "isLast": True}


def test_cloud_has_no_old_search(jira: JiraServer) -> None:
    # Without the server's description the package takes every Jira for a server.
    with connected(jira, get_server_info=False) as client, pytest.raises(JIRAError) as caught:
        client.search_issues("project = OPS")
    assert caught.value.status_code == 410


def test_a_jira_server_has_the_old_search() -> None:
    with JiraServer(deployment="Server") as jira, connected(jira) as client:
        client.create_issue(fields=FIELDS)
        jira.index_now()
        assert [issue.key for issue in client.search_issues("project = OPS")] == ["OPS-1"]
        assert jira.requests()[-1].arguments["path"] == "/rest/api/2/search"


def test_comments_are_kept_in_order(jira: JiraServer, client: JIRA) -> None:
    client.create_issue(fields=FIELDS)
    client.add_comment("OPS-1", "first")
    client.add_comment("OPS-1", "second")
    assert [comment.body for comment in client.comments("OPS-1")] == ["first", "second"]
    assert [comment.body for comment in jira.issues()[0].comments] == ["first", "second"]
    with pytest.raises(JIRAError, match="too long"):
        client.add_comment("OPS-1", "x" * 32_768)


def test_properties_of_an_issue_are_kept(jira: JiraServer, client: JIRA) -> None:
    client.create_issue(fields=FIELDS)
    assert client.add_issue_property("OPS-1", "quell", {"incident": "a"}).status_code == 201
    assert client.add_issue_property("OPS-1", "quell", {"incident": "b"}).status_code == 200
    assert client.issue_property("OPS-1", "quell").raw["value"] == {"incident": "b"}
    assert [found.key for found in client.issue_properties("OPS-1")] == ["quell"]
    assert jira.issues()[0].properties == {"quell": {"incident": "b"}}
    with pytest.raises(JIRAError, match="does not exist"):
        client.issue_property("OPS-1", "other")


@pytest.mark.parametrize("path", ["issue/OPS-9", "project/NO", "dashboard"])
def test_what_is_not_there_is_a_404(jira: JiraServer, path: str) -> None:
    answer = requests.get(
        f"{jira.url}/rest/api/2/{path}", auth=(jira.email, jira.token), timeout=DEADLINE_S
    )
    assert answer.status_code == 404
    assert len(jira.refusals()) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "parsing JSON"),
        ('{"fields": {}, "fizz": 1}', "Unrecognized field"),
        ('{"issue": {}}', ""),
    ],
)
def test_a_body_that_is_no_issue_is_refused(jira: JiraServer, body: str, message: str) -> None:
    answer = requests.post(
        f"{jira.url}/rest/api/2/issue",
        data=body,
        auth=(jira.email, jira.token),
        timeout=DEADLINE_S,
    )
    assert answer.status_code == 400
    assert message in " ".join(answer.json()["errorMessages"])


def test_a_planned_failure_answers_once_and_does_nothing(jira: JiraServer, client: JIRA) -> None:
    jira.fail_next("create_issue", retry_after=3)
    jira.fail_next("create_issue", status=500)
    with pytest.raises(JIRAError) as limited:
        client.create_issue(fields=FIELDS)
    assert limited.value.status_code == 429
    assert limited.value.response is not None
    assert limited.value.response.headers["Retry-After"] == "3"
    assert limited.value.response.headers["RateLimit-Reason"] == "jira-burst-based"
    with pytest.raises(JIRAError) as broken:
        client.create_issue(fields=FIELDS)
    assert broken.value.status_code == 500
    assert jira.issues() == ()
    assert client.create_issue(fields=FIELDS).key == "OPS-1"
    assert jira.refusals() == ()


def test_a_lost_reply_leaves_the_issue_behind(jira: JiraServer, client: JIRA) -> None:
    jira.lose_next_reply()
    with pytest.raises(requests.exceptions.ConnectionError):
        client.create_issue(fields=FIELDS)
    assert [issue.key for issue in jira.issues()] == ["OPS-1"]


def test_a_late_answer_comes_when_it_is_released(jira: JiraServer, client: JIRA) -> None:
    hold = jira.hold_next()
    keys: list[str] = []
    caller = threading.Thread(
        target=lambda: keys.append(client.create_issue(fields=FIELDS, prefetch=False).key)
    )
    caller.start()
    hold.wait_until_done(DEADLINE_S)
    assert (keys, len(jira.issues())) == ([], 1)
    hold.release()
    caller.join(DEADLINE_S)
    assert keys == ["OPS-1"]


def test_a_caller_that_gives_up_leaves_the_issue_behind(jira: JiraServer) -> None:
    hold = jira.hold_next()
    with (
        connected(jira, timeout=0.2) as client,
        pytest.raises(requests.exceptions.ReadTimeout),
    ):
        client.create_issue(fields=FIELDS)
    hold.wait_until_done(DEADLINE_S)
    assert len(jira.issues()) == 1


def test_waiting_ends_when_the_issue_is_there(jira: JiraServer, client: JIRA) -> None:
    caller = threading.Thread(target=client.create_issue, args=(FIELDS,))
    caller.start()
    (issue,) = jira.wait_for(jira.issues, DEADLINE_S)
    caller.join(DEADLINE_S)
    assert issue.key == "OPS-1"
    with pytest.raises(TimeoutError):
        jira.wait_for(lambda: len(jira.issues()) == 2, 0.05)
