"""What Jira says to the fields of a new issue and to rich text; empty errors mean accepted."""

from collections.abc import Iterator, Mapping

from tests.doubles.traffic import Json, JsonObject

MAX_SUMMARY = 255
MAX_TEXT = 32_767
MAX_LABEL = 255
SETTABLE = frozenset({"project", "issuetype", "summary", "description", "labels", "priority"})
ISSUE_TYPES = {"10001": "Task", "10002": "Bug", "10003": "Incident", "10004": "Postmortem"}
PRIORITIES = {"1": "Highest", "2": "High", "3": "Medium", "4": "Low", "5": "Lowest"}

# Which members a node of an Atlassian document has beside `type`.
# developer.atlassian.com/cloud/jira/platform/apis/document/structure
ADF_NODES: Mapping[str, frozenset[str]] = {
    "doc": frozenset({"version", "content"}),
    "paragraph": frozenset({"content", "attrs"}),
    "heading": frozenset({"content", "attrs"}),
    "codeBlock": frozenset({"content", "attrs"}),
    "bulletList": frozenset({"content"}),
    "orderedList": frozenset({"content", "attrs"}),
    "listItem": frozenset({"content"}),
    "blockquote": frozenset({"content"}),
    "panel": frozenset({"content", "attrs"}),
    "rule": frozenset(),
    "hardBreak": frozenset({"attrs"}),
    "table": frozenset({"content", "attrs"}),
    "tableRow": frozenset({"content"}),
    "tableHeader": frozenset({"content", "attrs"}),
    "tableCell": frozenset({"content", "attrs"}),
    "text": frozenset({"text", "marks"}),
}


def text_problem(value: Json, api_version: str) -> str | None:
    """Why a description or comment can't be stored; the 2nd API takes text, the 3rd documents."""
    if api_version != "3":
        if not isinstance(value, str):
            return "Operation value must be a string"
        text = value
    else:
        if not is_document(value):
            return (
                "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
            )
        text = plain_text(value)
    if len(text) > MAX_TEXT:
        return (
            "The entered text is too long. "
            f"It exceeds the allowed limit of {MAX_TEXT:,} characters."
        )
    return None


def is_document(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and value.get("type") == "doc"
        and value.get("version") == 1
        and _is_node(value)
    )


def plain_text(node: Json) -> str:
    """The words of a document, one block a line; text is itself."""
    if isinstance(node, str):
        return node
    if not isinstance(node, dict):
        return ""
    inner = [plain_text(child) for child in node.get("content", ())]
    if node["type"] == "text":
        return str(node["text"])
    if node["type"] == "hardBreak":
        return "\n"
    return ("" if node["type"] in {"paragraph", "heading", "codeBlock"} else "\n").join(inner)


def document(text: str) -> JsonObject:
    """Text as the document that the 3rd API gives for it."""
    lines = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}] if line else []}
        for line in text.split("\n")
    ]
    return {"type": "doc", "version": 1, "content": lines}


def as_version(value: Json, api_version: str) -> Json:
    """A stored description or comment in the form that one version of the API shows."""
    if value is None:
        return None
    if api_version == "3":
        return document(value) if isinstance(value, str) else value
    return plain_text(value)


def named_id(value: Json, known: Mapping[str, str], by: str = "name") -> str | None:
    """The id that `{"id": …}` or `{"name": …}` (`by`) means; None where it means nothing."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    if "id" in value:
        return str(value["id"]) if str(value["id"]) in known else None
    return next((key for key, name in known.items() if name == value.get(by)), None)


def field_errors(
    fields: JsonObject, projects: Mapping[str, str], api_version: str
) -> dict[str, str]:
    """Jira's `errors` for a new issue. `projects` maps ids to keys."""
    errors = {
        name: f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
        for name in fields
        if name not in SETTABLE
    }
    if named_id(fields.get("project"), projects, by="key") is None:
        errors["project"] = "Specify a valid project ID or key"
    if named_id(fields.get("issuetype"), ISSUE_TYPES) is None:
        errors["issuetype"] = "Specify a valid issue type"
    errors.update(("summary", e) for e in _summary_errors(fields.get("summary")))
    if fields.get("description") is not None and (
        problem := text_problem(fields["description"], api_version)
    ):
        errors["description"] = problem
    errors.update(("labels", e) for e in _label_errors(fields.get("labels", [])))
    if "priority" in fields and named_id(fields["priority"], PRIORITIES) is None:
        errors["priority"] = "Specify the Priority (id or name) in the correct format"
    return errors


def _summary_errors(summary: Json) -> Iterator[str]:
    if summary is None or summary == "":
        yield "You must specify a summary of the issue."
    elif not isinstance(summary, str):
        yield "Operation value must be a string"
    elif "\n" in summary or "\r" in summary:
        yield "The summary is invalid because it contains newline characters."
    elif len(summary) > MAX_SUMMARY:
        yield f"Summary can't exceed {MAX_SUMMARY} characters."


def _label_errors(labels: Json) -> Iterator[str]:
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        yield "data was not an array of strings"
        return
    for label in labels:
        if " " in label:
            yield f"The label '{label}' contains spaces which is invalid."
        elif len(label) > MAX_LABEL:
            yield f"The label '{label}' exceeds the maximum length of {MAX_LABEL} characters."


def _is_node(node: Json) -> bool:
    if not isinstance(node, dict) or node.get("type") not in ADF_NODES:
        return False
    members = set(node) - {"type"}
    if not members <= ADF_NODES[node["type"]]:
        return False
    if node["type"] == "text":
        return isinstance(node.get("text"), str) and node["text"] != ""
    content = node.get("content", [])
    return isinstance(content, list) and all(_is_node(child) for child in content)
