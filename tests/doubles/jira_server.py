"""A Jira that keeps state, refuses what Jira refuses, and fails when a test tells it to."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypeVar

from aiohttp import web

from tests.doubles import jira_wire as wire
from tests.doubles.jira_issues import Issue, RefusedError, Site, View, now
from tests.doubles.server_thread import ServerThread
from tests.doubles.traffic import (
    Failure,
    Hold,
    Json,
    JsonObject,
    LostReply,
    Refusal,
    Request,
    Traffic,
)

EMAIL = "quell@jira.example"
TOKEN = "jira-double-token"
API_VERSIONS = frozenset({"2", "3"})
LISTS = frozenset({"fields", "reconcileIssues"})
SEARCH_BOTH = frozenset({"jql", "maxResults", "fields", "expand", "properties"})
SEARCH_CLOUD = SEARCH_BOTH | {"nextPageToken", "reconcileIssues", "fieldsByKeys"}
SEARCH_SERVER = SEARCH_BOTH | {"startAt", "validateQuery"}
PAGE = 50
MAX_PAGE = 5000
MAX_RECONCILED = 50
BUILT = "2026-11-02T00:00:00.000+0000"

T = TypeVar("T")
# Status and body; no body where it is None.
Answer: TypeAlias = tuple[int, Json]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, taken apart."""

    verb: str
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    text: str
    view: View

    @property
    def body(self) -> JsonObject:
        """The JSON object that was sent."""
        try:
            body = json.loads(self.text)
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise RefusedError(400, "There was an error parsing JSON. Check your request body.")
        return body

    def arguments(self, allowed: frozenset[str]) -> JsonObject:
        """A search's arguments from query or body; a member that Jira doesn't know is refused."""
        if self.verb == "GET":
            given: JsonObject = {
                name: values if name in LISTS else values[-1] for name, values in self.query.items()
            }
        else:
            given = {name: value for name, value in self.body.items() if value is not None}
        for name in set(given) - allowed:
            raise RefusedError(400, f'Unrecognized field "{name}"')
        return given


Act: TypeAlias = Callable[[Asked], Answer]


class JiraServer:
    """`with JiraServer() as jira:` then JIRA(jira.url, basic_auth=(jira.email, jira.token))."""

    def __init__(
        self,
        site: Site | None = None,
        deployment: Literal["Cloud", "Server"] = "Cloud",
    ) -> None:
        self.email = EMAIL
        self.token = TOKEN
        self._site = site or Site()
        self._deployment = deployment
        self._traffic = Traffic()
        app = web.Application()
        for verb, path, call, act in self._routes():
            app.router.add_route(verb, "/rest/api/{version}/" + path, self._handler(call, act))
        app.router.add_route("*", "/{path:.*}", self._handler("unknown", self._unknown))
        self._server = ServerThread(app, "jira-double")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return f"http://{self._server.address}"

    # --- what a test sees

    def issues(self) -> tuple[Issue, ...]:
        """Every issue, oldest first, whether a search finds it yet or not."""
        with self._traffic.changed:
            return tuple(self._site.issues.values())

    def requests(self, since: int = 0) -> tuple[Request, ...]:
        """Every request in order of arrival, from the one numbered `since`."""
        return self._traffic.requests(since)

    def refusals(self) -> tuple[Refusal, ...]:
        """What Jira would have refused, 4xx each; planned failures aren't among them."""
        return self._traffic.refusals()

    def wait_for(self, predicate: Callable[[], T], deadline_s: float) -> T:
        """The first truthy answer of `predicate`; TimeoutError after the deadline."""
        return self._traffic.wait_for(predicate, deadline_s)

    # --- how it lags and misbehaves; calls are named as in `_routes`

    def index_now(self) -> None:
        """Let searches find every issue that there is by now."""
        with self._traffic.changed:
            for issue in self._site.issues.values():
                issue.searchable = True

    def fail_next(
        self,
        call: str,
        status: int = 429,
        retry_after: int = 1,
        reason: str = "jira-burst-based",
        message: str = "",
    ) -> None:
        """Answer the next request of this name with an error, and do nothing."""
        headers = (
            {"Retry-After": str(retry_after), "RateLimit-Reason": reason} if status == 429 else {}
        )
        message = message or ("Rate limit exceeded." if status == 429 else "Internal server error")
        body = wire.ErrorCollection(errorMessages=[message], errors={}).model_dump()
        self._traffic.plan(call, Failure(status, headers, body))

    def lose_next_reply(self, call: str = "create_issue") -> None:
        """Do what the next request of this name asks, then cut the connection."""
        self._traffic.plan(call, LostReply())

    def hold_next(self, call: str = "create_issue") -> Hold:
        """Do what the next request of this name asks, then answer only after `release`."""
        hold = Hold()
        self._traffic.plan(call, hold)
        return hold

    # --- HTTP

    def _routes(self) -> list[tuple[str, str, str, Act]]:
        return [
            ("GET", "serverInfo", "server_info", self._server_info),
            ("GET", "myself", "myself", lambda a: (200, a.view.user.model_dump())),
            ("GET", "field", "fields", lambda a: (200, _dump(a.view.fields()))),
            ("GET", "issuetype", "issue_types", lambda a: (200, _dump(a.view.issue_types()))),
            ("GET", "project/{project}", "project", self._project),
            ("POST", "issue", "create_issue", self._create_issue),
            ("GET", "issue/{issue}", "issue", self._issue),
            ("GET", "issue/{issue}/comment", "comments", self._comments),
            ("POST", "issue/{issue}/comment", "add_comment", self._add_comment),
            ("GET", "issue/{issue}/properties", "properties", self._properties),
            ("GET", "issue/{issue}/properties/{key}", "property", self._property),
            ("PUT", "issue/{issue}/properties/{key}", "set_property", self._set_property),
            ("GET", "search/jql", "search", self._search_cloud),
            ("POST", "search/jql", "search", self._search_cloud),
            ("GET", "search", "search", self._search_server),
            ("POST", "search", "search", self._search_server),
        ]

    def _handler(
        self, call: str, act: Act
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            text = await request.text()
            seen = self._traffic.record(call, _arguments(request, text))

            async def respond() -> web.StreamResponse:
                try:
                    with self._traffic.changed:
                        status, body = act(self._asked(request, text))
                        self._traffic.changed.notify_all()
                except RefusedError as refused:
                    self._traffic.refuse(seen, refused.status, refused.body)
                    status, body = refused.status, refused.body
                if body is None:
                    return web.Response(status=status)
                return web.json_response(body, status=status)

            return await self._traffic.answer(request, call, respond)

        return handle

    def _asked(self, request: web.Request, text: str) -> Asked:
        """The request, once its credentials and the version of the API are right."""
        version = request.match_info.get("version", "2")
        if version not in API_VERSIONS:
            raise RefusedError(404, f"There is no version {version!r} of the API.")
        given = request.headers.get("Authorization")
        basic = base64.b64encode(f"{self.email}:{self.token}".encode()).decode()
        open_to_all = request.path.endswith("/serverInfo") and given is None
        if given not in (f"Basic {basic}", f"Bearer {self.token}") and not open_to_all:
            raise RefusedError(401, "Client must be authenticated to access this resource.")
        root = f"{self.url}/rest/api/{version}"
        user = wire.User(
            self=f"{root}/user?accountId=1", accountId="1", displayName="quell", active=True
        )
        query = {name: request.query.getall(name) for name in request.query}
        view = View(self._site, root, version, user)
        return Asked(request.method, dict(request.match_info), query, text, view)

    def _unknown(self, asked: Asked) -> Answer:
        raise RefusedError(404, f"This double has no {asked.verb} /{asked.path['path']}.")

    def _server_info(self, _: Asked) -> Answer:
        cloud = self._deployment == "Cloud"
        numbers = [1001, 0, 0] if cloud else [10, 3, 0]
        info = wire.ServerInformation(
            baseUrl=self.url,
            version=".".join(map(str, numbers)),
            versionNumbers=numbers,
            deploymentType=self._deployment,
            buildNumber=100_300,
            buildDate=BUILT,
            serverTime=now(),
            serverTitle="Jira",
        )
        return 200, info.model_dump()

    def _project(self, asked: Asked) -> Answer:
        project_id = self._site.project_id(asked.path["project"])
        return 200, asked.view.project(project_id).model_dump()

    def _create_issue(self, asked: Asked) -> Answer:
        issue = self._site.create(asked.body, asked.view.api_version)
        created = wire.CreatedIssue(
            id=issue.issue_id, key=issue.key, self=f"{asked.view.root}/issue/{issue.issue_id}"
        )
        return 201, created.model_dump()

    def _issue(self, asked: Asked) -> Answer:
        return 200, asked.view.issue(self._site.find(asked.path["issue"])).model_dump()

    def _comments(self, asked: Asked) -> Answer:
        return 200, asked.view.comments(self._site.find(asked.path["issue"])).model_dump()

    def _add_comment(self, asked: Asked) -> Answer:
        issue = self._site.find(asked.path["issue"])
        comment = self._site.comment(issue, asked.body, asked.view.api_version)
        return 201, asked.view.comment(issue, comment).model_dump()

    def _properties(self, asked: Asked) -> Answer:
        issue = self._site.find(asked.path["issue"])
        at = f"{asked.view.root}/issue/{issue.issue_id}/properties"
        keys = [wire.PropertyKey(key=key, self=f"{at}/{key}") for key in issue.properties]
        return 200, wire.PropertyKeys(keys=keys).model_dump()

    def _property(self, asked: Asked) -> Answer:
        issue, key = self._site.find(asked.path["issue"]), asked.path["key"]
        if key not in issue.properties:
            raise RefusedError(404, f"The property with key '{key}' does not exist.")
        found = wire.EntityProperty(key=key, value=issue.properties[key])
        return 200, found.model_dump()

    def _set_property(self, asked: Asked) -> Answer:
        issue = self._site.find(asked.path["issue"])
        new = self._site.set_property(issue, asked.path["key"], asked.text)
        return (201 if new else 200), None

    def _search_cloud(self, asked: Asked) -> Answer:
        if self._deployment != "Cloud":
            raise RefusedError(404, "Only Jira Cloud has this search.")
        given = asked.arguments(SEARCH_CLOUD)
        reconcile = frozenset(map(str, given.get("reconcileIssues", ())))
        if len(reconcile) > MAX_RECONCILED:
            raise RefusedError(400, f"At most {MAX_RECONCILED} issues can be reconciled.")
        found = self._site.search(given.get("jql", ""), reconcile, bounded=True)
        start = int(given.get("nextPageToken", 0))
        end = start + _page_size(given)
        more = end < len(found)
        results = wire.CloudSearchResults(
            issues=[asked.view.found(issue, _fields(given)) for issue in found[start:end]],
            isLast=not more,
            nextPageToken=str(end) if more else None,
        )
        return 200, results.model_dump(exclude_none=True)

    def _search_server(self, asked: Asked) -> Answer:
        if self._deployment == "Cloud":
            raise RefusedError(
                410,
                "The requested API has been removed. Please migrate to the /rest/api/3/search/jql"
                " API. A full migration guideline is available at"
                " https://developer.atlassian.com/changelog/#CHANGE-2046",
            )
        given = asked.arguments(SEARCH_SERVER)
        found = self._site.search(given.get("jql", ""), frozenset(), bounded=False)
        start, size = int(given.get("startAt", 0)), _page_size(given)
        fields = _fields(given) or ["*navigable"]
        results = wire.SearchResults(
            startAt=start,
            maxResults=size,
            total=len(found),
            issues=[asked.view.found(issue, fields) for issue in found[start : start + size]],
        )
        return 200, results.model_dump()


def _dump(answers: Sequence[wire.Wire]) -> list[JsonObject]:
    return [answer.model_dump() for answer in answers]


def _arguments(request: web.Request, text: str) -> JsonObject:
    """What a test is shown of a request."""
    try:
        body = json.loads(text) if text else None
    except json.JSONDecodeError:
        body = text
    return {
        "path": request.path,
        "query": {name: request.query.getall(name) for name in request.query},
        "body": body,
    }


def _fields(given: JsonObject) -> list[str]:
    return [name for item in given.get("fields", ()) for name in str(item).split(",") if name]


def _page_size(given: JsonObject) -> int:
    return min(int(given.get("maxResults", PAGE)), MAX_PAGE)
