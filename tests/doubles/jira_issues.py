"""The state behind the Jira double: issues, comments, properties, and an index that lags."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError

from tests.doubles import jira_wire as wire
from tests.doubles.jira_fields import (
    ISSUE_TYPES,
    PRIORITIES,
    as_version,
    field_errors,
    named_id,
    text_problem,
)
from tests.doubles.jira_jql import JqlError, Query, parse_jql
from tests.doubles.traffic import Json, JsonObject

FIRST_ISSUE_ID = 10_000
DEFAULT_PRIORITY = "3"
STATUS = "To Do"
MAX_PROPERTY_BYTES = 32_768
MAX_PROPERTY_KEY = 255


def now() -> str:
    """The present in Jira's spelling."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000%z")


class RefusedError(Exception):
    """What Jira answers instead, in its own shape."""

    def __init__(
        self, status: int, *messages: str, errors: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, *messages, errors)
        self.status = status
        self.body = wire.ErrorCollection(
            errorMessages=list(messages), errors=dict(errors or {})
        ).model_dump()


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment; `body` is text or a document, as it was sent."""

    comment_id: str
    body: Json
    created: str


@dataclass(slots=True)
class Issue:
    """An issue; `description` is text or a document, as it was sent."""

    issue_id: str
    key: str
    project: str
    issue_type: str
    summary: str
    description: Json
    labels: tuple[str, ...]
    priority: str
    created: str
    comments: list[Comment] = field(default_factory=list)
    properties: dict[str, Json] = field(default_factory=dict)
    searchable: bool = False

    def values(self, name: str) -> tuple[str, ...]:
        """For JQL: the values of a field."""
        return {
            "project": (self.project,),
            "labels": self.labels,
            "issuetype": (ISSUE_TYPES[self.issue_type], self.issue_type),
            "status": (STATUS,),
            "key": (self.key, self.issue_id),
            "summary": (self.summary,),
        }[name]


@dataclass(slots=True)
class Site:
    """One Jira. Not locked: the server's Traffic guards it."""

    # id -> key
    projects: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"10100": "OPS", "10101": "PM"})
    )
    issues: dict[str, Issue] = field(default_factory=dict)
    searchable_at_once: bool = False
    _comment_ids: int = FIRST_ISSUE_ID

    def create(self, body: JsonObject, api_version: str) -> Issue:
        fields = body.get("fields")
        if not isinstance(fields, dict):
            raise RefusedError(400, errors={"fields": "data was not an object"})
        for member in set(body) - {"fields", "properties"}:
            raise RefusedError(400, f'Unrecognized field "{member}"')
        errors = field_errors(fields, self.projects, api_version)
        if errors:
            raise RefusedError(400, errors=errors)
        project = self.projects[named_id(fields["project"], self.projects, by="key") or ""]
        number = 1 + sum(issue.project == project for issue in self.issues.values())
        issue = Issue(
            issue_id=str(FIRST_ISSUE_ID + len(self.issues)),
            key=f"{project}-{number}",
            project=project,
            issue_type=named_id(fields["issuetype"], ISSUE_TYPES) or "",
            summary=fields["summary"],
            description=fields.get("description"),
            labels=tuple(fields.get("labels", ())),
            priority=named_id(fields.get("priority"), PRIORITIES) or DEFAULT_PRIORITY,
            created=now(),
            searchable=self.searchable_at_once,
        )
        for given in _entity_properties(body.get("properties", [])):
            self.set_property(issue, given.key, json.dumps(given.value))
        self.issues[issue.key] = issue
        return issue

    def find(self, key_or_id: str) -> Issue:
        for issue in self.issues.values():
            if key_or_id.upper() == issue.key or key_or_id == issue.issue_id:
                return issue
        raise RefusedError(404, "Issue does not exist or you do not have permission to see it.")

    def project_id(self, key_or_id: str) -> str:
        for project_id, key in self.projects.items():
            if key_or_id in (project_id, key):
                return project_id
        raise RefusedError(404, f"No project could be found with key '{key_or_id}'.")

    def comment(self, issue: Issue, body: JsonObject, api_version: str) -> Comment:
        for member in set(body) - {"body"}:
            raise RefusedError(400, f'Unrecognized field "{member}"')
        if not body.get("body"):
            raise RefusedError(400, errors={"comment": "Comment body can not be empty!"})
        if problem := text_problem(body["body"], api_version):
            raise RefusedError(400, errors={"comment": problem})
        self._comment_ids += 1
        comment = Comment(str(self._comment_ids), body["body"], now())
        issue.comments.append(comment)
        return comment

    def set_property(self, issue: Issue, key: str, value: str) -> bool:
        """Store a property; True where there was none before."""
        if len(key) > MAX_PROPERTY_KEY:
            raise RefusedError(400, f"The property key is longer than {MAX_PROPERTY_KEY}.")
        if not value or len(value.encode()) > MAX_PROPERTY_BYTES:
            raise RefusedError(400, f"The value is empty or over {MAX_PROPERTY_BYTES} bytes.")
        new = key not in issue.properties
        try:
            issue.properties[key] = json.loads(value)
        except json.JSONDecodeError:
            raise RefusedError(400, "The property value is not valid JSON.") from None
        return new

    def search(self, jql: str, reconcile: frozenset[str], *, bounded: bool) -> list[Issue]:
        """Issues that the index knows, and those of the ids in `reconcile`, however young."""
        try:
            query = parse_jql(jql)
        except JqlError as error:
            raise RefusedError(400, str(error)) from None
        self._check_values(query)
        if bounded and not query.clauses:
            raise RefusedError(
                400,
                "Unbounded JQL queries are not allowed here. "
                "Please add a search restriction to your query.",
            )
        found = [
            issue
            for issue in self.issues.values()
            if (issue.searchable or issue.issue_id in reconcile) and query.holds(issue)
        ]
        return found if query.oldest_first else found[::-1]

    def _check_values(self, query: Query) -> None:
        known = {
            "project": {name for pair in self.projects.items() for name in pair},
            "issuetype": {name for pair in ISSUE_TYPES.items() for name in pair},
        }
        for clause in query.clauses:
            for value in clause.wanted:
                if clause.field in known and value not in known[clause.field]:
                    raise RefusedError(
                        400, f"The value '{value}' does not exist for the field '{clause.field}'."
                    )


def _entity_properties(given: Json) -> list[wire.EntityProperty]:
    try:
        return TypeAdapter(list[wire.EntityProperty]).validate_python(given)
    except ValidationError:
        raise RefusedError(400, "Each property needs a key and a value.") from None


@dataclass(frozen=True, slots=True)
class View:
    """Puts the site's state into the form of one version of the API, at one address."""

    site: Site
    root: str
    api_version: str
    user: wire.User

    def project(self, project_id: str) -> wire.ProjectDetails:
        return wire.ProjectDetails(
            **self._project(project_id).model_dump(), issueTypes=self.issue_types()
        )

    def issue_types(self) -> list[wire.IssueType]:
        return [self._issue_type(type_id) for type_id in ISSUE_TYPES]

    def comment(self, issue: Issue, comment: Comment) -> wire.Comment:
        return wire.Comment(
            self=f"{self.root}/issue/{issue.issue_id}/comment/{comment.comment_id}",
            id=comment.comment_id,
            author=self.user,
            body=as_version(comment.body, self.api_version),
            created=comment.created,
            updated=comment.created,
        )

    def comments(self, issue: Issue) -> wire.PageOfComments:
        comments = [self.comment(issue, comment) for comment in issue.comments]
        return wire.PageOfComments(
            comments=comments, maxResults=len(comments), startAt=0, total=len(comments)
        )

    def issue(self, issue: Issue) -> wire.Issue:
        site = self.site
        return wire.Issue(
            id=issue.issue_id,
            key=issue.key,
            self=f"{self.root}/issue/{issue.issue_id}",
            fields=wire.IssueFields(
                summary=issue.summary,
                description=as_version(issue.description, self.api_version),
                labels=list(issue.labels),
                project=self._project(site.project_id(issue.project)),
                issuetype=self._issue_type(issue.issue_type),
                priority=wire.Named(
                    self=f"{self.root}/priority/{issue.priority}",
                    id=issue.priority,
                    name=PRIORITIES[issue.priority],
                ),
                status=wire.Named(self=f"{self.root}/status/1", id="1", name=STATUS),
                created=issue.created,
                updated=issue.created,
                creator=self.user,
                comment=self.comments(issue),
            ),
        )

    def found(self, issue: Issue, asked: list[str]) -> wire.FoundIssue:
        """An issue in a search's answer: with the fields asked for, or the id alone."""
        if not asked:
            return wire.FoundIssue(id=issue.issue_id)
        whole = self.issue(issue)
        fields = whole.fields.model_dump()
        if "*all" not in asked and "*navigable" not in asked:
            fields = {name: value for name, value in fields.items() if name in asked}
        return wire.FoundIssue(id=whole.id, key=whole.key, self=whole.self, fields=fields)

    def fields(self) -> list[wire.FieldDetails]:
        return [
            wire.FieldDetails(id=name, key=name, name=name, custom=False, clauseNames=[name])
            for name in wire.IssueFields.model_fields
        ]

    def _project(self, project_id: str) -> wire.Project:
        key = self.site.projects[project_id]
        return wire.Project(
            self=f"{self.root}/project/{project_id}", id=project_id, key=key, name=key
        )

    def _issue_type(self, type_id: str) -> wire.IssueType:
        return wire.IssueType(
            self=f"{self.root}/issuetype/{type_id}",
            id=type_id,
            name=ISSUE_TYPES[type_id],
            description="",
            subtask=False,
        )
