"""Azure's action groups as senders: their tokens, what they try again, and when they fall silent.

https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups#webhook-retry-behavior
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import httpx

from engine.ports.clock import Clock
from tests.services.key_issuer import KeyIssuer

APP = "461e8683-5575-4561-ac7f-899cc907d62a"
ROLE = "ActionGroupsSecureWebhook"
RETRIED = frozenset({408, 429, 503, 504})
DELAYS_S = (5.0, 20.0, 5.0, 40.0, 5.0)
SILENT_S = 15 * 60.0


def secure_webhook_claims(
    tenant: str, audience: str, now: datetime, *, version: Literal[1, 2] = 2
) -> dict[str, Any]:
    """What Entra ID says in a token of an action group.

    https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
    """
    issued = now - timedelta(minutes=1)
    shared = {
        "iat": int(issued.timestamp()),
        "nbf": int(issued.timestamp()),
        "exp": int((issued + timedelta(hours=1)).timestamp()),
        "tid": tenant,
        "oid": "0c0a0000-1111-2222-3333-444455556666",
        "sub": "0c0a0000-1111-2222-3333-444455556666",
        "roles": [ROLE],
    }
    if version == 1:
        issuer = f"https://sts.windows.net/{tenant}/"
        return {
            **shared,
            "iss": issuer,
            "aud": f"api://{audience}",
            "appid": APP,
            "ver": "1.0",
        }
    issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
    return {**shared, "iss": issuer, "aud": audience, "azp": APP, "ver": "2.0"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a notice, and the status of each try; 0 where there was no answer."""

    outcome: Literal["delivered", "refused", "given up", "silent"]
    statuses: tuple[int, ...] = ()


@dataclass
class ActionGroup:
    """Sends notices to one address, by the rules of a webhook or, with `issuer`, a secure one.

    Each notice has a schedule of its own; once one was given up, none is sent for 15 minutes, and
    those are lost. All times are the clock's: hand in one that runs fast.
    """

    http: httpx.AsyncClient
    url: str
    clock: Clock
    issuer: KeyIssuer | None = None
    tenant: str = ""
    audience: str = ""
    key_id: str = "key-1"
    silent_until: float = 0.0
    deliveries: list[Delivery] = field(default_factory=list)

    async def notify(self, body: bytes) -> Delivery:
        """Returns when the notice was taken, refused or given up."""
        found = await self._notify(body)
        self.deliveries.append(found)
        return found

    async def _notify(self, body: bytes) -> Delivery:
        if self.clock.monotonic() < self.silent_until:
            return Delivery("silent")
        statuses: list[int] = []
        for delay_s in (*DELAYS_S, None):
            statuses.append(await self._post(body))
            if 200 <= statuses[-1] < 300:
                return Delivery("delivered", tuple(statuses))
            if statuses[-1] and statuses[-1] not in RETRIED:
                return Delivery("refused", tuple(statuses))
            if delay_s is not None:
                await self.clock.sleep(delay_s)
        self.silent_until = self.clock.monotonic() + SILENT_S
        return Delivery("given up", tuple(statuses))

    async def _post(self, body: bytes) -> int:
        try:
            answer = await self.http.post(self.url, content=body, headers=self._headers())
        except httpx.TransportError:
            return 0
        return answer.status_code

    def _headers(self) -> Mapping[str, str]:
        headers = {"content-type": "application/json; charset=utf-8"}
        if self.issuer is not None:
            claims = secure_webhook_claims(self.tenant, self.audience, self.clock.now())
            headers["authorization"] = f"Bearer {self.issuer.token(claims, self.key_id)}"
        return headers
