"""The client against a real gateway, and against servers that fail in every way."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.client.http import QuellClient
from engine.core.recent_changes import OutsideChange
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
from engine.gateway.answers import (
    approval_answer,
    audit_answer,
    balance_answer,
    dead_letter_content,
    dead_letter_page,
    incident_answer,
    incident_story,
    positions_answer,
)
from engine.gateway.parts import GatewayParts
from engine.ports.change_api import ChangeAnswer, ChangeOrder
from tests.doubles.gateway import (
    APPROVAL,
    HOLDER,
    TOKEN,
    MemoryCommands,
    MemoryQueries,
    gateway_parts,
    incident,
    served,
    served_app,
)
from tests.doubles.gateway_orders import LETTERS, POSITIONS, MemoryChanges


@contextmanager
def client_of(parts: GatewayParts, token: str = TOKEN) -> Iterator[QuellClient]:
    with (
        served(parts) as port,
        QuellClient(f"http://127.0.0.1:{port}/", SecretStr(token) if token else None) as client,
    ):
        yield client


async def test_reads_come_back_as_they_were_made() -> None:
    queries = MemoryQueries()
    with client_of(gateway_parts()) as client:
        page = client.incidents(limit=2, status="open", service="llm-70b")
        assert page.incidents == (incident_answer(incident(5)), incident_answer(incident(4)))
        rest = client.incidents(limit=9, cursor=page.next_cursor or "")
        assert [found.number for found in rest.incidents] == [3, 2, 1]
        assert rest.next_cursor is None
        story = incident_story(incident(1), await queries.timeline("incident1"))
        assert client.incident("INC-1") == story
        assert [each.seq for each in client.incident("INC-1", cursor="1").timeline] == [2]
        assert client.approval("run1") == approval_answer(APPROVAL)
        assert client.balance() == balance_answer(await queries.balance())
        assert client.dead_letters(limit=2) == dead_letter_page(LETTERS, 2)
        rest_of_letters = client.dead_letters(cursor="letter2").dead_letters
        assert [letter.id for letter in rest_of_letters] == ["letter3"]
        assert len(client.dead_letters(waiting=True).dead_letters) == 2
        assert client.dead_letter("letter2") == dead_letter_content(LETTERS[1])
        assert client.positions() == positions_answer(POSITIONS)
        assert client.verify_audit() == audit_answer(await queries.verify_audit())
        lines: list[bytes] = []
        client.export_audit(lines.append)
        assert lines == [b"one\n", b"two\n"]


def test_orders_arrive_with_all_that_was_said() -> None:
    parts = gateway_parts()
    with client_of(parts) as client:
        decided = client.decide("approval1", "approve", plan_hash="hash1", reason="seen")
        assert (decided.approval.state, decided.sentence) == ("approved", "approved by local:token")
        assert client.acknowledge("INC-1", note="on it").acknowledged_at is not None
        assert client.run_playbook("restart", {"n": 1, "f": ["a"]}, reason="slow").name == "INC-7"
        client.run_playbook("restart", {}, dry_run=True)
        client.cancel_run("run1", reason="wrong host")
        assert client.roll_back("run1", reason="worse than before").number == 7
        assert client.keep("run1", reason="until March").number == 7
        assert client.replay_dead_letter("letter1").replayed
        (stopped,) = client.stop("playbook", "restart", reason="drill").stops
        assert (stopped.scope, stopped.name, stopped.actor) == ("playbook", "restart", HOLDER.actor)
        assert client.resume("all", reason="over") == client.stops()
        assert client.set_position(1, "first", reason="a new disk").position == 5
        with pytest.raises(ConflictError, match="isn't stopped"):
            client.set_position(0, 7, reason="a new disk")
    assert isinstance(parts.commands, MemoryCommands)
    by = replace(HOLDER, via="cli")
    assert parts.commands.orders == [
        ("decide", "approval1", "approved", "hash1", by, "seen"),
        ("acknowledge", "INC-1", by, "on it"),
        ("run", "restart", {"n": 1, "f": ["a"]}, by, "slow"),
        ("dry run", "restart", {}, by, ""),
        ("cancel", "run1", by, "wrong host"),
        ("roll_back", "run1", by, "worse than before"),
        ("keep", "run1", by, "until March"),
        ("stop", "playbook", "restart", by, "drill"),
        ("resume", "all", "", by, "over"),
    ]


def test_what_others_changed_arrives_with_who_told_it() -> None:
    parts = gateway_parts()
    with client_of(parts) as client:
        order = ChangeOrder(what="a release", targets=("gpu-07:9100",), services=("llm",))
        kept = ChangeAnswer(what="a release", targets=("gpu-07",), services=("llm",))
        assert client.tell_change(order) == kept
        with pytest.raises(NotFoundError, match="no target 'gpu-9'"):
            client.tell_change(ChangeOrder(what="a release", targets=("gpu-9",)))
    assert isinstance(parts.changes, MemoryChanges)
    change = OutsideChange("a release", ("gpu-07:9100",), ("llm",))
    assert parts.changes.told == [(change, replace(HOLDER, via="cli"), "")]


FAULTS = [
    (DeniedError("only on-call may"), DeniedError),
    (NotFoundError("no such run"), NotFoundError),
    (ConflictError("it ended"), ConflictError),
    (PayloadError("unknown parameter 'hots'"), PayloadError),
    (TransientError("the store is down", 7), TransientError),
    (OutcomeUnknownError("perhaps"), OutcomeUnknownError),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=lambda value: type(value).__name__)
def test_an_error_of_the_server_s_arrives_as_the_same_kind(
    fault: QuellError, kind: type[QuellError]
) -> None:
    parts = replace(gateway_parts(), commands=MemoryCommands(fault=fault))
    with client_of(parts) as client, pytest.raises(kind) as caught:
        client.cancel_run("run1")
    assert str(fault) in str(caught.value)
    if isinstance(caught.value, TransientError):
        assert caught.value.retry_after_s == 7


def test_a_read_that_fails_on_the_server_may_be_repeated() -> None:
    parts = replace(gateway_parts(), queries=MemoryQueries(fault=OutcomeUnknownError("x")))
    with client_of(parts) as client, pytest.raises(TransientError):
        client.incidents()


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_the_right_token_it_says_what_to_set(token: str) -> None:
    parts = gateway_parts()
    with client_of(parts, token) as client, pytest.raises(DeniedError, match="set QUELL_TOKEN"):
        client.cancel_run("run1")


@pytest.mark.parametrize("prefix", ["../balance", "a/b", "INC 1?x=1#y", "%2e"])
def test_a_prefix_with_signs_of_an_address_finds_nothing_else(prefix: str) -> None:
    with client_of(gateway_parts()) as client, pytest.raises(NotFoundError) as caught:
        client.incident(prefix)
    assert prefix in str(caught.value)


def test_nobody_there_is_said_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with QuellClient(url) as client:
            for call in (client.balance, lambda: client.cancel_run("run1")):
                with pytest.raises(TransientError, match=f"no answer from {url}"):
                    call()


@contextmanager
def hanging_up() -> Iterator[str]:
    """A server that reads a request and closes without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def test_an_order_without_an_answer_may_have_taken_effect_and_a_read_has_none() -> None:
    with hanging_up() as url, QuellClient(url) as client:
        with pytest.raises(TransientError):
            client.balance()
        with pytest.raises(OutcomeUnknownError, match="look at the incident before you repeat"):
            client.cancel_run("run1")


def fixed(status: int, body: bytes) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


OTHER_SERVERS = [
    pytest.param(
        200, b"<html>hello</html>", PermanentError, "address of a quell server", id="page"
    ),
    pytest.param(200, b"{}", PermanentError, "address of a quell server", id="another API"),
    pytest.param(302, b"", PermanentError, "answered 302", id="redirect"),
    pytest.param(418, b"", PermanentError, "answered 418", id="teapot"),
    pytest.param(404, b"nope", NotFoundError, "status 404", id="no problem+json"),
    pytest.param(502, b"bad gateway", TransientError, "status 502", id="a proxy's error"),
]


@pytest.mark.parametrize(("status", "body", "kind", "says"), OTHER_SERVERS)
def test_another_server_is_recognised(
    status: int, body: bytes, kind: type[QuellError], says: str
) -> None:
    with (
        served_app(fixed(status, body)) as port,
        QuellClient(f"http://127.0.0.1:{port}") as client,
        pytest.raises(kind, match=says),
    ):
        client.balance()


def test_what_is_no_address_is_a_mistake_of_configuration() -> None:
    with pytest.raises(ConfigError, match="no address of a server"):
        QuellClient("http://localhost:port")


def test_a_newer_server_s_additions_are_ignored() -> None:
    newer = (
        b'{"dispositions": {}, "records": 3, "waiting": 0, "bodies_received": 1,'
        b' "bodies_appended": 1, "bodies_dead_lettered": 0, "difference": 0, "added_later": {}}'
    )
    with (
        served_app(fixed(200, newer)) as port,
        QuellClient(f"http://127.0.0.1:{port}") as client,
    ):
        assert client.balance().records == 3


def test_the_environment_s_proxy_does_not_get_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with client_of(gateway_parts()) as client:
        assert client.balance().records == 3
