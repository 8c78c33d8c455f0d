"""A quell server as typed methods; what goes wrong arrives as engine.errors, worded for people."""

import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import JsonValue, SecretStr, ValidationError

from engine.core.positions import Destination
from engine.core.stops import StopScope
from engine.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadError,
    PermanentError,
    QuellError,
    TransientError,
)
from engine.ports.api import (
    TERMINAL_AGENT,
    AcknowledgeOrder,
    Answer,
    ApprovalAnswer,
    AuditAnswer,
    BalanceAnswer,
    CancelOrder,
    DeadLetterContent,
    DeadLetterPage,
    DecisionAnswer,
    DecisionOrder,
    EndSilenceOrder,
    IncidentAnswer,
    IncidentPage,
    IncidentStory,
    KeepOrder,
    LocksAnswer,
    Order,
    PositionOrder,
    PositionsAnswer,
    Problem,
    ReleaseOrder,
    ReplayAnswer,
    RepositionAnswer,
    ResumeOrder,
    RunOrder,
    SilenceAnswer,
    SilenceOrder,
    SilencesAnswer,
    StopOrder,
    StopsAnswer,
)
from engine.ports.brake_api import BrakeAnswer, LiftOrder
from engine.ports.breaker_api import TryAnswer, TryOrder
from engine.ports.change_api import ChangeAnswer, ChangeOrder
from engine.ports.question_api import AnswerOrder
from engine.ports.raises_api import ConfirmOrder, RaisesAnswer
from engine.ports.rules_api import JudgeOrder, TrustAnswer, WaitingAnswer

A = TypeVar("A", bound=Answer)

CONNECT_TIMEOUT_S = 3.0
# Checking every chain of a large journal takes a while.
ANSWER_TIMEOUT_S = 60.0


class QuellClient:
    """One server; use it as a context manager.

    Every method raises TransientError when the server can't be reached or asks to come back,
    DeniedError when the token doesn't do, NotFoundError, ConflictError, PayloadError when the
    order is wrong, PermanentError for anything else, and an order raises OutcomeUnknownError
    when it was sent and no answer came.
    """

    def __init__(
        self, url: str, token: SecretStr | None = None, trust: ssl.SSLContext | None = None
    ) -> None:
        """`url` is like `http://127.0.0.1:8484`; `trust` None is what the system trusts.

        Raises ConfigError when it is no address.
        """
        self._url = url.rstrip("/")
        bearer = f"Bearer {token.get_secret_value()}" if token else ""
        try:
            self._http = httpx.Client(
                base_url=self._url,
                headers={"user-agent": TERMINAL_AGENT}
                | ({"authorization": bearer} if bearer else {}),
                timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                # A proxy or .netrc of the environment would get, or replace, the token.
                trust_env=False,
                verify=True if trust is None else trust,
            )
        except httpx.InvalidURL as error:
            raise ConfigError(f"{url!r} is no address of a server: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def incidents(
        self,
        *,
        status: str = "",
        severity: str = "",
        service: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> IncidentPage:
        """Incidents, newest first; pass `next_cursor` as `cursor` for those before them."""
        filters = {"status": status, "severity": severity, "service": service, "cursor": cursor}
        query = {key: value for key, value in filters.items() if value} | {"limit": str(limit)}
        return self._read(IncidentPage, "/v1/incidents", query)

    def incident(self, prefix: str, *, cursor: str = "") -> IncidentStory:
        """One incident with a page of its timeline; by id, a unique prefix of it, or INC-12.

        Pass `next_cursor` as `cursor` for the page behind it.
        """
        query = {"cursor": cursor} if cursor else {}
        return self._read(IncidentStory, f"/v1/incidents/{_segment(prefix)}", query)

    def approval(self, prefix: str) -> ApprovalAnswer:
        """One request for approval; by its own id, its run's or its incident's."""
        return self._read(ApprovalAnswer, f"/v1/approvals/{_segment(prefix)}")

    def balance(self) -> BalanceAnswer:
        """Every alert accounted for."""
        return self._read(BalanceAnswer, "/v1/balance")

    def verify_audit(self) -> AuditAnswer:
        """Check every chain of the journal, and every checkpoint."""
        return self._read(AuditAnswer, "/v1/audit/verify")

    def export_audit(self, take: Callable[[bytes], object]) -> None:
        """The whole journal, handed over line by line, each with its line feed."""
        rest = b""
        try:
            with self._http.stream("GET", "/v1/audit/export") as response:
                if not response.is_success:
                    response.read()
                    raise self._error_of(response)
                for piece in response.iter_bytes():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        take(line + b"\n")
                if rest:
                    take(rest)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def decide(
        self,
        approval: str,
        decision: Literal["approve", "reject"],
        *,
        plan_hash: str,
        reason: str = "",
    ) -> DecisionAnswer:
        """Approve or reject; ConflictError when another decision stands already."""
        order = DecisionOrder(decision=decision, plan_hash=plan_hash, reason=reason)
        return self._order(DecisionAnswer, f"/v1/approvals/{_segment(approval)}/decision", order)

    def acknowledge(self, incident: str, *, note: str = "") -> IncidentAnswer:
        """Say: I see it."""
        path = f"/v1/incidents/{_segment(incident)}/acknowledge"
        return self._order(IncidentAnswer, path, AcknowledgeOrder(note=note))

    def run_playbook(
        self,
        playbook: str,
        parameters: Mapping[str, JsonValue],
        *,
        reason: str = "",
        dry_run: bool = False,
    ) -> IncidentAnswer:
        """Start a run by hand and return the incident that it is in; a dry one changes nothing."""
        order = RunOrder(playbook=playbook, parameters=parameters, reason=reason, dry_run=dry_run)
        return self._order(IncidentAnswer, "/v1/runs", order)

    def cancel_run(self, run: str, *, reason: str = "") -> None:
        """End a run's plan; what is under way is signalled, what was done is rolled back."""
        self._sent(f"/v1/runs/{_segment(run)}/cancel", CancelOrder(reason=reason))

    def roll_back(self, run: str, *, reason: str = "") -> IncidentAnswer:
        """Take an ended run back by a run of its own, whose plan is asked for."""
        order = CancelOrder(reason=reason)
        return self._order(IncidentAnswer, f"/v1/runs/{_segment(run)}/rollback", order)

    def keep(self, run: str, *, reason: str) -> IncidentAnswer:
        """Let stay what a run changed for the moment; ConflictError where nothing would end it."""
        path = f"/v1/runs/{_segment(run)}/keep"
        return self._order(IncidentAnswer, path, KeepOrder(reason=reason))

    def answer(self, run: str, answer: str, *, step: str = "", reason: str = "") -> None:
        """Answer a question of a run; ConflictError when it asks nothing."""
        order = AnswerOrder(answer=answer, step=step, reason=reason)
        self._sent(f"/v1/runs/{_segment(run)}/answer", order)

    def stops(self) -> StopsAnswer:
        """What may change nothing now, and on whose order."""
        return self._read(StopsAnswer, "/v1/stops")

    def stop(self, scope: StopScope, name: str = "", *, reason: str) -> StopsAnswer:
        """Let nothing that this covers change anything more; all that is stopped then."""
        order = StopOrder(scope=scope, name=name, reason=reason)
        return self._order(StopsAnswer, "/v1/stops", order)

    def resume(self, scope: StopScope, name: str = "", *, reason: str = "") -> StopsAnswer:
        """Lift a stop; all that is stopped still."""
        order = ResumeOrder(scope=scope, name=name, reason=reason)
        return self._order(StopsAnswer, "/v1/resume", order)

    def trust(self) -> TrustAnswer:
        """How far each rule has earned trust, by environment."""
        return self._read(TrustAnswer, "/v1/trust")

    def judge(self, incident: str, verdict: Literal["right", "wrong"], *, reason: str = "") -> None:
        """Say whether an incident's run was the right thing."""
        path = f"/v1/incidents/{_segment(incident)}/judgement"
        self._sent(path, JudgeOrder(verdict=verdict, reason=reason))

    def waiting(self, limit: int = 50) -> WaitingAnswer:
        """Alerts that fire and open nothing yet, and what they wait for."""
        return self._read(WaitingAnswer, "/v1/waiting", {"limit": str(limit)})

    def silences(self) -> SilencesAnswer:
        """What people silenced, by when it ends."""
        return self._read(SilencesAnswer, "/v1/silences")

    def silence(self, order: SilenceOrder) -> SilenceAnswer:
        """Silence alerts for some time."""
        return self._order(SilenceAnswer, "/v1/silences", order)

    def end_silence(self, silence: str, *, reason: str = "") -> SilenceAnswer:
        """End a silence before its time."""
        path = f"/v1/silences/{_segment(silence)}/end"
        return self._order(SilenceAnswer, path, EndSilenceOrder(reason=reason))

    def locks(self) -> LocksAnswer:
        """Every target that a run keeps others from changing."""
        return self._read(LocksAnswer, "/v1/locks")

    def release_lock(self, target: str, *, reason: str = "") -> LocksAnswer:
        """Let go of what the ended run that keeps this target locked holds; what that was."""
        path = f"/v1/locks/{_segment(target)}/release"
        return self._order(LocksAnswer, path, ReleaseOrder(reason=reason))

    def try_again(self, playbook: str, target: str = "", *, reason: str = "") -> TryAnswer:
        """Let one more run of a playbook try, after others failed in a row."""
        path = f"/v1/breakers/{_segment(playbook)}/try"
        return self._order(TryAnswer, path, TryOrder(target=target, reason=reason))

    def tell_change(self, order: ChangeOrder) -> ChangeAnswer:
        """Say that somebody changed something just now; what was kept."""
        return self._order(ChangeAnswer, "/v1/changes", order)

    def brake(self) -> BrakeAnswer:
        """Whether a storm keeps everything from acting by itself."""
        return self._read(BrakeAnswer, "/v1/brake")

    def lift_brake(self, *, reason: str = "") -> BrakeAnswer:
        """Let `auto` act again; what was on."""
        return self._order(BrakeAnswer, "/v1/brake/lift", LiftOrder(reason=reason))

    def raises(self) -> RaisesAnswer:
        """What waits for a second person."""
        return self._read(RaisesAnswer, "/v1/raises")

    def confirm_raises(self, version: str, *, reason: str = "") -> None:
        """Let everything go as far as this catalog version says."""
        self._sent("/v1/raises/confirm", ConfirmOrder(version=version, reason=reason))

    def positions(self) -> PositionsAnswer:
        """Where each partition of the stream goes on, and why one can't."""
        return self._read(PositionsAnswer, "/v1/positions")

    def set_position(self, partition: int, to: Destination, *, reason: str) -> RepositionAnswer:
        """Send a stopped partition on; ConflictError when it isn't stopped."""
        order = PositionOrder(to=to, reason=reason)
        return self._order(RepositionAnswer, f"/v1/positions/{partition}", order)

    def dead_letters(
        self, *, waiting: bool = False, limit: int = 50, cursor: str = ""
    ) -> DeadLetterPage:
        """What couldn't be understood, last seen first; `waiting`: not replayed yet."""
        query = {"waiting": str(waiting).lower(), "limit": str(limit), "cursor": cursor}
        return self._read(DeadLetterPage, "/v1/dead-letters", query)

    def dead_letter(self, prefix: str) -> DeadLetterContent:
        """One dead letter with what it holds."""
        return self._read(DeadLetterContent, f"/v1/dead-letters/{_segment(prefix)}")

    def replay_dead_letter(self, letter: str) -> ReplayAnswer:
        """Take a dead letter in again."""
        return self._order(ReplayAnswer, f"/v1/dead-letters/{_segment(letter)}/replay", Order())

    def _read(self, answer: type[A], path: str, query: Mapping[str, str] | None = None) -> A:
        try:
            response = self._http.get(path, params=query or {})
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return self._understood(answer, self._checked(response))

    def _order(self, answer: type[A], path: str, order: Order) -> A:
        return self._understood(answer, self._sent(path, order))

    def _sent(self, path: str, order: Order) -> httpx.Response:
        try:
            response = self._http.post(path, json=order.model_dump(mode="json"))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error
        except httpx.HTTPError as error:
            raise self._unknown(f"{type(error).__name__} {error}".strip()) from error
        if response.status_code >= 500 and response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise self._unknown(_detail(response))
        return self._checked(response)

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        raise self._error_of(response)

    def _error_of(self, response: httpx.Response) -> QuellError:
        detail = _detail(response)
        match response.status_code:
            case HTTPStatus.UNAUTHORIZED:
                return DeniedError(f"{self._url} wants a token that it knows; set QUELL_TOKEN")
            case HTTPStatus.FORBIDDEN:
                return DeniedError(detail)
            case HTTPStatus.NOT_FOUND:
                return NotFoundError(detail)
            case HTTPStatus.CONFLICT:
                return ConflictError(detail)
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                return PayloadError(detail)
            case code if code >= 500 or code == HTTPStatus.REQUEST_TIMEOUT:
                after = response.headers.get("retry-after", "")
                return TransientError(
                    f"{self._url}: {detail}", float(after) if after.isdecimal() else None
                )
            case code:
                return PermanentError(f"{self._url} answered {code}: {detail}")

    def _understood(self, answer: type[A], response: httpx.Response) -> A:
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise PermanentError(
                f"{self._url}{response.request.url.path} gave no answer of quell's; is this the "
                "address of a quell server, and of a version like this one's?"
            ) from error

    def _unreachable(self, error: httpx.HTTPError) -> TransientError:
        return TransientError(
            f"no answer from {self._url} ({type(error).__name__}: {error}); does quell run there?"
        )

    def _unknown(self, what: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"the order was sent to {self._url} and may have taken effect ({what}); look at the "
            "incident before you repeat it"
        )


def _segment(text: str) -> str:
    """A part of a path that can't become two, whatever the caller typed."""
    return quote(text, safe="") or "-"


def _detail(response: httpx.Response) -> str:
    try:
        found = Problem.model_validate_json(response.content)
    except ValidationError:
        return f"status {response.status_code}"
    return found.detail or found.title
