"""Checks signed tokens (JWT, RFC 7519) of senders that get theirs from an issuer.

An issuer publishes its keys (JWKS, RFC 7517) and changes them; they are fetched when they are
needed, kept, and asked for anew at most once in five minutes, whatever key a token names.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.errors import TransientError
from engine.ports.http_reads import read

if TYPE_CHECKING:
    from pathlib import Path

    from jwt import PyJWK

ALGORITHM = "RS256"
# What clocks may differ by.
LEEWAY = timedelta(minutes=1)
# A token may name any key, so an unknown one is no reason to ask the issuer each time.
FETCH_EVERY = timedelta(minutes=5)
# Where the issuer didn't answer: its sender repeats for a minute or two, and has to get in.
RETRY_EVERY = timedelta(seconds=10)
# A key that its issuer withdrew is no key any more.
KEYS_LAST = timedelta(hours=6)
FETCH_WITHIN_S = 5.0
MAX_TOKEN_CHARACTERS = 16 * 1024


class WrongTokenError(Exception):
    """Why a token lets nobody in; says nothing that is secret."""


@dataclass(slots=True)
class KeySet:
    """The keys that an issuer publishes at `url`, by their id."""

    url: str
    ca: "Path | None" = None
    _keys: Mapping[str, "PyJWK"] = field(default_factory=dict)
    _fetched_at: datetime | None = None
    _not_before: datetime | None = None
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def key(self, key_id: str, now: datetime) -> "PyJWK | None":
        """The key of this id; None where the issuer has none.

        Raises TransientError where the issuer has to be asked and doesn't answer.
        """
        async with self._fetching:
            if self._due(key_id, now):
                await self._fetch(now)
        return self._keys.get(key_id)

    def _due(self, key_id: str, now: datetime) -> bool:
        if self._fetched_at is None:
            self._refuse_early(now)
            return True
        if now - self._fetched_at >= KEYS_LAST:
            self._refuse_early(now)
            return True
        return key_id not in self._keys and now - self._fetched_at >= FETCH_EVERY

    def _refuse_early(self, now: datetime) -> None:
        if self._not_before is not None and now < self._not_before:
            raise TransientError(f"the keys at {self.url} can't be had")

    async def _fetch(self, now: datetime) -> None:
        from jwt import PyJWKSet, PyJWTError

        try:
            value = json.loads(await read(self.url, timeout_s=FETCH_WITHIN_S, ca=self.ca))
            found = PyJWKSet.from_dict(value).keys
        except (ValueError, TypeError, AttributeError, RecursionError, PyJWTError) as error:
            self._not_before = now + RETRY_EVERY
            raise TransientError(f"{self.url} has no keys ({type(error).__name__})") from error
        except TransientError as error:
            self._not_before = now + RETRY_EVERY
            raise TransientError(f"{self.url}: {error}") from error
        self._keys = {key.key_id: key for key in found if key.key_id and key.key_type == "RSA"}
        self._fetched_at, self._not_before = now, None


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """What a token has to say: one of the issuers, one of the audiences, and not be expired.

    Only RS256 counts: a token that chooses its algorithm chooses who can sign it.
    """

    keys: KeySet
    issuers: frozenset[str]
    audiences: frozenset[str]

    async def claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        """The claims of a token that is in order.

        Raises WrongTokenError for any other, and TransientError where the keys can't be had.
        """
        import jwt

        if not token:
            raise WrongTokenError("no bearer token")
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise WrongTokenError("a token of more than 16 KiB")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise WrongTokenError("no signed token") from error
        if not all(map(_is_canonical, token.split("."))):
            raise WrongTokenError("a token that can be spelled otherwise")
        if header.get("alg") != ALGORITHM:
            raise WrongTokenError(f"a token by another algorithm than {ALGORITHM}")
        key_id = header.get("kid")
        key = await self.keys.key(key_id, now) if isinstance(key_id, str) else None
        if key is None:
            raise WrongTokenError("a token by no key of this issuer")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=sorted(self.issuers),
                audience=sorted(self.audiences),
                options={
                    "require": ["exp", "iat", "iss", "aud"],
                    # By the clock that is handed in.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidAudienceError as error:
            # Its signature was right, so the issuer wrote this.
            other = jwt.decode(token, options={"verify_signature": False}).get("aud")
            raise WrongTokenError(f"a token for another audience, {other!r:.200}") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise WrongTokenError(
                f"a token that is not in order ({type(error).__name__})"
            ) from error
        _require_current(claims, now)
        return claims


def _is_canonical(part: str) -> bool:
    """Whether it is the one spelling of its bytes (RFC 4648, section 3.5): a token has no other."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == part


def _require_current(claims: Mapping[str, Any], now: datetime) -> None:
    at, leeway_s = now.timestamp(), LEEWAY.total_seconds()
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, at)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WrongTokenError(f"a token whose {name} is no time")
        if (value <= at - leeway_s) if name == "exp" else (value > at + leeway_s):
            what = "an expired token" if name == "exp" else "a token of the future"
            raise WrongTokenError(f"{what}: {name} {value}, and this machine's clock says {at:.0f}")
