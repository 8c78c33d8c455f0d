"""The silences of an Alertmanager, as orders for this installation.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml, GET /silences.
"""

from collections.abc import Sequence

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from engine.core.matchers import Matcher, MatcherError, Operator
from engine.errors import PayloadError, TransientError
from engine.ports.api import SilenceOrder

TIMEOUT_S = 10.0
_STATES = ("active", "pending")


class _Theirs(BaseModel):
    """Unknown members are other releases'."""

    model_config = ConfigDict(alias_generator=to_camel)


class _Matcher(_Theirs):
    name: str
    value: str
    is_regex: bool
    # Absent before Alertmanager 0.22.
    is_equal: bool = True

    def text(self) -> str:
        operators: dict[tuple[bool, bool], Operator] = {
            (False, True): "=",
            (False, False): "!=",
            (True, True): "=~",
            (True, False): "!~",
        }
        return str(Matcher(self.name, operators[self.is_regex, self.is_equal], self.value))


class _Status(_Theirs):
    state: str


class _Silence(_Theirs):
    id: str
    matchers: tuple[_Matcher, ...]
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    created_by: str = ""
    comment: str = ""
    status: _Status


_SILENCES = TypeAdapter(tuple[_Silence, ...])


def origin_of(address: str) -> str:
    """What the origins of this Alertmanager's silences begin with; no credentials are in it."""
    url = httpx.URL(address)
    return str(url.copy_with(userinfo=b"", query=None)).rstrip("/") + "/api/v2/silence/"


def read_silences(
    address: str, transport: httpx.BaseTransport | None = None
) -> Sequence[SilenceOrder]:
    """Those that are in force there, or will be.

    Raises TransientError where it doesn't answer, PayloadError for what isn't understood.
    """
    url = address.rstrip("/") + "/api/v2/silences"
    try:
        with httpx.Client(timeout=TIMEOUT_S, transport=transport) as client:
            answer = client.get(url)
            answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise TransientError(f"the Alertmanager answers {status}; check its address") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransientError(f"the Alertmanager can't be reached: {type(error).__name__}") from None
    try:
        found = _SILENCES.validate_json(answer.content)
        return [_order(each, address) for each in found if each.status.state in _STATES]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PayloadError(
            f"that isn't an Alertmanager's silences: {first['msg']}", where
        ) from None
    except MatcherError as error:
        raise PayloadError(f"a silence has a matcher that RE2 refuses: {error.message}") from None


def _order(theirs: _Silence, address: str) -> SilenceOrder:
    said = f"{theirs.created_by}: {theirs.comment}".strip(": ") or "imported"
    return SilenceOrder(
        matchers=tuple(each.text() for each in theirs.matchers),
        starts_at=theirs.starts_at,
        ends_at=theirs.ends_at,
        comment=said[:2000],
        origin=origin_of(address) + theirs.id,
    )
