"""Whether a token of Entra ID is one of Azure's action groups, for us.

https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from datetime import datetime

from connectors.sources.azure_monitor.config import EntraConfig
from engine.ports.json_web_tokens import KeySet, TokenCheck, WrongTokenError
from engine.ports.source import ADMITTED, Admission, denied

_URI = "api://"


class EntraDoor:
    """Lets in who shows a token of the tenant, for our app, of the app and in the role."""

    def __init__(self, config: EntraConfig, keys: KeySet | None = None) -> None:
        self._config = config
        keys_url = config.keys_url or f"{config.login}/{config.tenant}/discovery/v2.0/keys"
        audience = config.audience.removeprefix(_URI)
        self._check = TokenCheck(
            keys or KeySet(keys_url, config.ca),
            issuers_of(config),
            # Version 1 names an app by its URI, version 2 by its id.
            frozenset({audience, f"{_URI}{audience}"}),
        )

    async def admit(self, token: str, now: datetime) -> Admission:
        """Raises TransientError where the tenant's keys can't be had."""
        try:
            claims = await self._check.claims(token, now)
        except WrongTokenError as error:
            return denied(str(error))
        # Version 1 says `appid`, version 2 `azp`.
        apps = [claims[name] for name in ("appid", "azp") if name in claims]
        if not apps or any(app != self._config.sender_app for app in apps):
            return denied("a token of another app than Azure's action groups")
        roles = claims.get("roles")
        if not isinstance(roles, list) or self._config.role not in roles:
            return denied(f"a token without the role {self._config.role!r}")
        return ADMITTED


def issuers_of(config: EntraConfig) -> frozenset[str]:
    """Those of both versions of tokens, unless others are configured."""
    derived = (
        f"https://sts.windows.net/{config.tenant}/",
        f"{config.login}/{config.tenant}/v2.0",
    )
    return frozenset(config.issuers or derived)
