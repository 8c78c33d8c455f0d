"""The Tracker over Jira, Cloud and Data Center alike, by the `jira` package and REST version 2."""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from connectors.records.jira.wiki_markup import bounded_markup, cut, without_controls
from engine.core.documents import SeverityName
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.ports.blocking import BoundedThreads
from engine.ports.tracker import Ticket, TicketDraft

if TYPE_CHECKING:
    from jira import JIRA, JIRAError

MAX_SUMMARY = 255
MAX_DESCRIPTION = 32_767
MAX_COMPLAINT = 500
# One client, and its session isn't made for several threads; tickets are few.
THREADS = 1

_KEY = re.compile(r"[A-Za-z0-9._-]{1,200}")


class JiraConfig(BaseModel):
    """The section `records.jira`: with an e-mail the token is Cloud's, alone it is a PAT."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1)] = "jira"
    url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
    email: str = ""
    token: Annotated[SecretStr, Field(min_length=1)]
    project: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    issue_type: Annotated[str, Field(min_length=1)] = "Task"
    labels: tuple[Annotated[str, Field(pattern=r"^\S{1,255}$")], ...] = ("quell",)
    priorities: Mapping[SeverityName, str] = {}
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0


class JiraTracker:
    """Creates issues and remembers none: each is marked with the label `quell-<incident id>`."""

    def __init__(self, config: JiraConfig) -> None:
        self._config = config
        self._threads = BoundedThreads(config.name, THREADS)
        self._client: JIRA | None = None

    @property
    def name(self) -> str:
        """See Tracker."""
        return self._config.name

    async def open(self, draft: TicketDraft, *, may_exist: bool) -> Ticket:
        """See Tracker.

        Jira's search lags behind by seconds, and an issue whose answer was lost can't be asked
        for by its id. So a caller waits (30 s do) between an unknown outcome and looking again.
        """
        if not _KEY.fullmatch(draft.key):
            raise PermanentError(f"the incident's id {draft.key!r} can't be part of a label")
        return await self._threads.call(self._opened, draft, may_exist=may_exist)

    async def close(self) -> None:
        """Take no further tickets, and close the connections."""
        self._threads.close()
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]

    def _opened(self, draft: TicketDraft, *, may_exist: bool) -> Ticket:
        """Runs in the thread; importing the client takes a while too."""
        label = f"quell-{draft.key}"
        key = (self._found(label) if may_exist else "") or self._created(draft, label)
        return Ticket(key, f"{self._config.url.rstrip('/')}/browse/{key}")

    def _connected(self) -> "JIRA":
        """The client, which asks first whether this is Cloud: that has another search."""
        from jira import JIRA

        if self._client is None:
            config, token = self._config, self._config.token.get_secret_value()
            self._client = JIRA(
                config.url,
                basic_auth=(config.email, token) if config.email else None,
                token_auth=None if config.email else token,
                # The package would send a create again after a lost answer.
                max_retries=0,
                timeout=config.timeout_s,
                logging=False,
            )
        return self._client

    def _found(self, label: str) -> str:
        """The key of the oldest issue with the label, "" when there is none."""
        jql = f'project = "{self._config.project}" AND labels = "{label}" ORDER BY created ASC'
        with _reading(self._config.url):
            found = self._connected().search_issues(jql, maxResults=1, fields="summary")
            return str(found[0].key) if found else ""

    def _created(self, draft: TicketDraft, label: str) -> str:
        import requests
        from jira import JIRAError

        with _reading(self._config.url):
            client = self._connected()
        try:
            return str(client.create_issue(fields=self._fields(draft, label), prefetch=False).key)
        except JIRAError as error:
            raise _create_failure(error) from None
        except requests.RequestException as error:
            said = type(error).__name__
            if _never_sent(error):
                raise TransientError(f"no connection to Jira: {said}") from None
            raise OutcomeUnknownError(f"Jira may have made {label!r}: {said}") from None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise OutcomeUnknownError(_no_jira(self._config.url)) from None

    def _fields(self, draft: TicketDraft, label: str) -> dict[str, Any]:
        config = self._config
        summary = " ".join(without_controls(draft.title).split()) or draft.key
        rest = f"The file of the postmortem and `quell incidents show {draft.key}` have all of it."
        fields: dict[str, Any] = {
            "project": {"key": config.project},
            "issuetype": {"name": config.issue_type},
            "summary": cut(summary, MAX_SUMMARY),
            "description": bounded_markup(draft.body_markdown, MAX_DESCRIPTION, rest),
            "labels": [*config.labels, label],
        }
        for severity, priority in config.priorities.items():
            if severity == draft.severity:
                fields["priority"] = {"name": priority}
        return fields


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Classify what goes wrong while nothing is changed."""
    import requests
    from jira import JIRAError

    try:
        yield
    except JIRAError as error:
        raise _read_failure(error) from None
    except requests.RequestException as error:
        raise TransientError(f"no answer from Jira: {type(error).__name__}") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        # How the package fails on bodies that aren't Jira's, say a sign-in page.
        raise TransientError(_no_jira(url)) from None


def _read_failure(error: "JIRAError") -> TransientError | PermanentError:
    status = error.status_code or 0
    said = f"Jira answered {status}: {_complaints(error)}"
    if status in (408, 429) or status >= 500 or status < 400:
        return TransientError(said, _retry_after_s(error))
    return PermanentError(said)


def _create_failure(
    error: "JIRAError",
) -> TransientError | PermanentError | OutcomeUnknownError:
    """A refusal is certain; what a failing server or a proxy before it did isn't."""
    status = error.status_code or 0
    said = f"Jira answered {status}: {_complaints(error)}"
    if status == 429:
        return TransientError(said, _retry_after_s(error))
    if status == 408 or status >= 500 or status < 400:
        return OutcomeUnknownError(f"{said}; the issue may have been made")
    return PermanentError(said)


def _complaints(error: "JIRAError") -> str:
    """What Jira says about each field; the error's own text would hold whole requests."""
    try:
        body = error.response.json() if error.response is not None else {}
        errors, messages = body.get("errors") or {}, body.get("errorMessages") or []
        said = [*(f"{field}: {problem}" for field, problem in errors.items()), *map(str, messages)]
    except (AttributeError, TypeError, ValueError):
        said = []
    if error.status_code in (401, 403):
        said.append("check records.jira.token and the permissions in docs/jira.md")
    return "; ".join(said)[:MAX_COMPLAINT] or "no reason"


def _retry_after_s(error: "JIRAError") -> float | None:
    try:
        return float(error.response.headers["Retry-After"]) if error.response is not None else None
    except (KeyError, ValueError):
        return None


def _never_sent(error: Exception) -> bool:
    """Whether no connection came about, so that Jira can't have made anything."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    cause = reason.args[0] if isinstance(reason, Exception) and reason.args else None
    return isinstance(reason, NewConnectionError | ConnectTimeoutError) or isinstance(
        cause, ssl.SSLCertVerificationError
    )


def _no_jira(url: str) -> str:
    return f"the answer of {url!r} isn't Jira's; check records.jira.url"
