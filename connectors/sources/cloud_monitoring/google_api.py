"""Google's REST APIs as one account, by httpx and google-auth.

Not google-cloud-pubsub and google-cloud-monitoring: they bring gRPC with threads of their own,
and of it all four small calls are needed.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.json_value import Json
from engine.errors import NotFoundError, PermanentError, TransientError
from engine.ports.blocking import BoundedThreads
from engine.ports.http_reads import MAX_ANSWER_BYTES, bounded_body
from engine.ports.known_secrets import KNOWN

if TYPE_CHECKING:
    import httpx
    from google.auth.credentials import Credentials

SCOPES = (
    "https://www.googleapis.com/auth/pubsub",
    "https://www.googleapis.com/auth/monitoring.read",
)
# For a token; Google's own library would wait for two minutes.
TOKEN_WITHIN_S = 10.0
MAX_SAID_CHARACTERS = 200


class GoogleApi:
    """One account's calls; the token is renewed some minutes before it ends."""

    def __init__(self, source: str, credentials_file: Path | None) -> None:
        self._source = source
        self._file = credentials_file
        self._threads = BoundedThreads(f"{source} token", 1)
        self._opening = asyncio.Lock()
        self._renewing = asyncio.Lock()
        self._credentials: Credentials | None = None
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, *, timeout_s: float) -> Mapping[str, Json]:
        """The object that GET gives; see `post` for the errors."""
        return await self._call("GET", url, None, timeout_s)

    async def post(
        self, url: str, body: Mapping[str, Json], *, timeout_s: float
    ) -> Mapping[str, Json]:
        """The object that POST gives.

        Raises TransientError for silence, 408, 429 and 5xx, NotFoundError for 404, PermanentError
        for anything else that Google refuses, and where there are no credentials.
        """
        return await self._call("POST", url, body, timeout_s)

    async def close(self) -> None:
        """Give the connections back."""
        self._threads.close()
        if self._client is not None:
            await self._client.aclose()

    async def _call(
        self, method: str, url: str, body: Mapping[str, Json] | None, timeout_s: float
    ) -> Mapping[str, Json]:
        import httpx

        try:
            status, headers, answer = await self._once(method, url, body, timeout_s)
            if status == httpx.codes.UNAUTHORIZED:
                # Withdrawn before its time; a new one may do.
                await self._renew()
                status, headers, answer = await self._once(method, url, body, timeout_s)
        except (httpx.HTTPError, OSError) as error:
            raise TransientError(f"{url}: {str(error) or type(error).__name__}") from error
        if status == httpx.codes.OK:
            return _object(url, answer)
        raise _refusal(url, status, headers.get("retry-after", ""), answer)

    async def _once(
        self, method: str, url: str, body: Mapping[str, Json] | None, timeout_s: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        client, token = await self._opened(), await self._token()
        async with client.stream(
            method,
            url,
            json=body,
            headers={"authorization": f"Bearer {token}"},
            timeout=timeout_s,
        ) as response:
            return (
                response.status_code,
                response.headers,
                await bounded_body(response, MAX_ANSWER_BYTES),
            )

    async def _opened(self) -> "httpx.AsyncClient":
        import httpx

        async with self._opening:
            if self._client is None:
                # Reading the system's authorities takes a while.
                self._client = await asyncio.to_thread(httpx.AsyncClient, trust_env=False)
            return self._client

    async def _token(self) -> str:
        credentials = self._credentials
        if credentials is None or not credentials.valid:
            credentials = await self._renew()
        return str(credentials.token)

    async def _renew(self) -> "Credentials":
        before = None if self._credentials is None else self._credentials.token
        async with self._renewing:
            current = self._credentials
            if current is None or current.token == before:
                current = await self._threads.call(_renewed, current, self._file)
                KNOWN.keep(f"sources.{self._source} access token", str(current.token))
                self._credentials = current
            return current


def _renewed(credentials: "Credentials | None", file: Path | None) -> "Credentials":
    """With a new token; blocks. Raises TransientError or PermanentError."""
    import google.auth.transport.requests
    import requests
    from google.auth.exceptions import GoogleAuthError, TransportError

    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc of this machine has a say
    request = partial(google.auth.transport.requests.Request(session), timeout=TOKEN_WITHIN_S)
    try:
        found = credentials or _loaded(file)
        found.refresh(request)
    except GoogleAuthError as error:
        said = (
            f"no access token: {str(error.args[0] if error.args else error)[:MAX_SAID_CHARACTERS]}"
        )
        if isinstance(error, TransportError) or error.retryable:
            raise TransientError(said) from error
        raise PermanentError(said) from error
    finally:
        session.close()
    return found


def _loaded(file: Path | None) -> "Credentials":
    """The account's credentials.

    Of a file only the two kinds that a server should have: others may run programs. Raises
    PermanentError and google.auth's errors.
    """
    import google.auth
    from google.auth import identity_pool
    from google.oauth2 import service_account

    if file is None:
        return google.auth.default(scopes=SCOPES)[0]
    try:
        info: Any = json.loads(file.read_text())
        kind = info["type"]
        made: Credentials
        if kind == "service_account":
            made = service_account.Credentials.from_service_account_info(info, scopes=SCOPES)
            return made
        if kind == "external_account":
            made = identity_pool.Credentials.from_info(info, scopes=SCOPES)
            return made
    except OSError as error:
        raise PermanentError(f"credentials_file {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        # Without the error's own text, which may have a piece of the key.
        problem = f"credentials_file {file} is no key of a service account"
        raise PermanentError(f"{problem} ({type(error).__name__})") from None
    raise PermanentError(
        f"credentials_file {file} is of the type {kind!r}; for others than service_account and "
        "external_account leave it out and set GOOGLE_APPLICATION_CREDENTIALS"
    )


def _object(url: str, answer: bytes) -> Mapping[str, Json]:
    try:
        value: Json = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise TransientError(f"{url}: the answer is no JSON") from error
    if not isinstance(value, dict):
        raise TransientError(f"{url}: the answer is no object")
    return value


def _refusal(url: str, status: int, retry_after: str, answer: bytes) -> Exception:
    """https://docs.cloud.google.com/apis/design/errors#http_mapping."""
    try:
        error = json.loads(answer)["error"]
        said = f"{error['status']}: {error['message']}"[:MAX_SAID_CHARACTERS]
    except (ValueError, KeyError, TypeError, RecursionError):
        said = "no more is told"
    problem = f"{url}: answered with status {status}, {said}"
    if status in (408, 429) or status >= 500:
        after_s = float(retry_after) if retry_after.isdecimal() else None
        return TransientError(problem, after_s)
    return NotFoundError(problem) if status == 404 else PermanentError(problem)
