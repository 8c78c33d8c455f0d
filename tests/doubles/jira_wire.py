"""Jira's answers as closed models: an answer with an unknown member never leaves the double.

Members are spelled as on the wire.
Transcribed from Atlassian's OpenAPI description of the platform API
(developer.atlassian.com/cloud/jira/platform/swagger-v3.v3.json): CreatedIssue, IssueBean,
Comment, PageOfComments, EntityProperty, PropertyKeys, SearchAndReconcileResults, SearchResults,
ServerInformation, ErrorCollection.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.doubles.traffic import Json, JsonObject

MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}$"
KEY = r"^[A-Z][A-Z0-9_]+-\d+$"


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerInformation(Wire):
    baseUrl: str
    version: str
    versionNumbers: list[int]
    deploymentType: Literal["Cloud", "Server"]
    buildNumber: int
    buildDate: Annotated[str, Field(pattern=MOMENT)]
    serverTime: Annotated[str, Field(pattern=MOMENT)]
    serverTitle: str


class User(Wire):
    self: str
    accountId: str
    displayName: str
    active: bool


class IssueType(Wire):
    self: str
    id: str
    name: str
    description: str
    subtask: bool


class Project(Wire):
    self: str
    id: str
    key: str
    name: str


class ProjectDetails(Project):
    issueTypes: list[IssueType]


class Named(Wire):
    self: str
    id: str
    name: str


class CreatedIssue(Wire):
    id: str
    key: Annotated[str, Field(pattern=KEY)]
    self: str


class Comment(Wire):
    self: str
    id: str
    author: User
    body: Json
    created: Annotated[str, Field(pattern=MOMENT)]
    updated: Annotated[str, Field(pattern=MOMENT)]


class PageOfComments(Wire):
    comments: list[Comment]
    maxResults: int
    startAt: int
    total: int


class IssueFields(Wire):
    summary: str
    description: Json
    labels: list[str]
    project: Project
    issuetype: IssueType
    priority: Named
    status: Named
    created: Annotated[str, Field(pattern=MOMENT)]
    updated: Annotated[str, Field(pattern=MOMENT)]
    creator: User
    comment: PageOfComments


class Issue(Wire):
    id: str
    key: Annotated[str, Field(pattern=KEY)]
    self: str
    fields: IssueFields


class PropertyKey(Wire):
    key: str
    self: str


class PropertyKeys(Wire):
    keys: list[PropertyKey]


class EntityProperty(Wire):
    key: str
    value: Json


class FoundIssue(Wire):
    """An issue in a search's answer; `fields` holds only what was asked for."""

    id: str
    key: str | None = None
    self: str | None = None
    fields: JsonObject | None = None


class CloudSearchResults(Wire):
    issues: list[FoundIssue]
    isLast: bool
    nextPageToken: str | None = None


class SearchResults(Wire):
    startAt: int
    maxResults: int
    total: int
    issues: list[FoundIssue]


class FieldDetails(Wire):
    id: str
    key: str
    name: str
    custom: bool
    clauseNames: list[str]


class ErrorCollection(Wire):
    errorMessages: list[str]
    errors: dict[str, str]
