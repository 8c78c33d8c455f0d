"""One thread that brings notices to quell: with time-outs, patience and a bound on what waits."""

import http.client
import json
import logging
import random
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

from engine.client.reporting.clock import moment
from engine.client.reporting.events import encoded
from engine.client.reporting.judging import Notice
from engine.errors import ConfigError

# Of one send: for the connection, and for each part of the answer.
ANSWER_WITHIN_S = 5.0
# About 1 KiB each, so far under the source's limit of 1 MiB.
MAX_BATCH = 200
LONGEST_PAUSE_S = 60.0
LONGEST_RETRY_AFTER_S = 300.0
_MAX_ANSWER = 64 * 1024
DEFAULT_PATH = "/v1/alerts/cloudevents"

log = logging.getLogger("quell.reporting")

# A refusal stands: the same notices would be refused again, and the next ones tell more.
Outcome = Literal["delivered", "refused", "try_again"]
Identity = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where quell takes notices in; `ca` is a file of the authorities to trust, "" the system's.

    A `url` without a path means the source `cloudevents`; another one is told by its address,
    `https://quell.example/v1/alerts/NAME`. Raises ConfigError for what is no such address.
    """

    url: str
    token: str = field(default="", repr=False)
    ca: str = ""

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise ConfigError(
                "the url has to be like https://quell.example:8484, or a source's address;"
                " the token is given by itself"
            )
        if not _is_plain(self.token):
            # The library that refuses it later would show it.
            raise ConfigError(
                "the token has a blank, a line feed or another sign that no header has"
            )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    more = parts.username or parts.query or parts.fragment
    return complete and not more and _is_plain(url)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one request; `pause_s` is how long quell asks to be left alone, 0: it didn't.

    `problem` says what is wrong, also where only some notices were refused.
    """

    outcome: Outcome
    problem: str = ""
    pause_s: float = 0.0


class Sender:
    """Asks for notices every `every_s` and sends them; of one identity only the newest waits.

    What couldn't be sent for `worth_s` is dropped: quell has closed what it was about by then.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        source: str,
        collect: Callable[[], Sequence[Notice]],
        *,
        every_s: float,
        worth_s: float,
    ) -> None:
        """Raises ConfigError when the endpoint's `ca` can't be read."""
        self._post = _Post(endpoint)
        self._source = source
        self._collect = collect
        self._every_s = every_s
        self._worth_s = worth_s
        self._waiting: dict[Identity, tuple[Notice, float]] = {}
        self._failures = 0
        self._not_before_s = 0.0
        self._complained = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def thread_id(self) -> int | None:
        """Whose log records are its own doing."""
        return self._thread.ident if self._thread else None

    def start(self) -> None:
        """Begin, where it hasn't yet; without a thread, as at the interpreter's end, it says so."""
        if self._thread is None and not self._closing.is_set():
            self._thread = threading.Thread(target=self._run, name="quell-reporting", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                self._closing.set()
                self._complain(f"no thread can be started ({error})")

    def close(self, within_s: float) -> None:
        """Send what there is once more and end; what takes longer than `within_s` is left."""
        self._closing.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(within_s)

    def _run(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(self._every_s)
            if closing:
                self._not_before_s = 0.0
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end the reports
                self._complain(f"a fault in the reporter: {type(error).__name__}: {error}")

    def _round(self) -> None:
        now_s = moment().monotonic_s
        for notice in self._collect():
            identity = notice.name, tuple(sorted(notice.labels.items()))
            self._waiting[identity] = notice, now_s
        for identity, (_, since_s) in list(self._waiting.items()):
            if now_s - since_s > self._worth_s:
                del self._waiting[identity]
        while self._waiting and now_s >= self._not_before_s:
            batch = list(self._waiting)[:MAX_BATCH]
            delivery = self._post(
                *encoded([self._waiting[each][0] for each in batch], self._source)
            )
            if delivery.outcome == "try_again":
                self._failures += 1
                self._not_before_s = moment().monotonic_s + (delivery.pause_s or self._pause_s())
            else:
                self._failures = 0
                for identity in batch:
                    del self._waiting[identity]
            self._complain(delivery.problem)

    def _pause_s(self) -> float:
        """Longer each time, and not the same for all who lost the same server."""
        return min(LONGEST_PAUSE_S, 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)

    def _complain(self, problem: str) -> None:
        """Tell the log once that notices are lost or late, and once that they no longer are."""
        if problem and not self._complained:
            log.warning("quell isn't told how model calls do: %s", problem)
        elif self._complained and not problem:
            log.info("quell is told again how model calls do")
        self._complained = bool(problem)


class _Post:
    """One request, one connection: a notice a minute needs none that is kept."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts = urlsplit(endpoint.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/") or DEFAULT_PATH
        self._authorization = (
            {"authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        )
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=endpoint.ca or None)
            except OSError as error:
                raise ConfigError(f"ca {endpoint.ca!r} can't be read: {error}") from error

    def __call__(self, content_type: str, body: bytes) -> Delivery:
        headers = {"content-type": content_type, "user-agent": "quell-reporting"}
        try:
            with closing(self._connection()) as connection:
                connection.request("POST", self._path, body, headers | self._authorization)
                answer = connection.getresponse()
                return _delivery(answer, answer.read(_MAX_ANSWER))
        except (OSError, http.client.HTTPException) as error:
            where = f"{self._host}:{self._port}" if self._port else self._host
            return Delivery("try_again", f"{where}: {type(error).__name__} {error}".strip())

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_WITHIN_S)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=ANSWER_WITHIN_S, context=self._tls
        )


def _delivery(answer: http.client.HTTPResponse, body: bytes) -> Delivery:
    if 200 <= answer.status < 300:
        return Delivery("delivered", _complaint(body))
    problem = f"it answers {answer.status} {answer.reason}".strip()
    if answer.status in (408, 429) or answer.status >= 500:
        return Delivery("try_again", problem, _retry_after_s(answer.getheader("retry-after", "")))
    return Delivery("refused", problem)


def _complaint(body: bytes) -> str:
    """What quell says of notices that it couldn't understand; "" when it understood all."""
    try:
        rejected = json.loads(body)["rejected"]
        return f"it refuses {rejected[0]['field']}: {rejected[0]['problem']}" if rejected else ""
    except (ValueError, LookupError, TypeError):
        return "what answers there isn't quell"


def _retry_after_s(value: str) -> float:
    """Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after; else 0."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return 0.0
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - moment().wall).total_seconds()
    # min keeps its first argument where the other is no number.
    return max(0.0, min(LONGEST_RETRY_AFTER_S, seconds))
