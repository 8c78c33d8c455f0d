"""Settings of an Azure Monitor source."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from engine.ports.credentials import CredentialsConfig, Name, Secret, Section
from engine.ports.extras import is_installed
from engine.ports.file_paths import BesideFile, PresentFile
from engine.ports.known_secrets import HOLDS_SECRET
from engine.ports.payload import LabelNames

KIND = "azure-monitor"
# "AzNS AAD Webhook", and the role of the script in Microsoft's own words:
# https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups#secure-webhook-powershell-script
ACTION_GROUPS_APP = "461e8683-5575-4561-ac7f-899cc907d62a"
ACTION_GROUPS_ROLE = "ActionGroupsSecureWebhook"
MIN_URL_TOKEN = 16

_ADDRESS = re.compile(r"https://[^/@?#\s]+|http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]+")


def _server(address: str) -> str:
    address = address.rstrip("/")
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no address; write https://HOST, without a path")
    return address


def _url(url: str) -> str:
    server = re.match(r"[a-z]+://[^/]*", url)
    if server is None or not _ADDRESS.fullmatch(server[0]):
        raise ValueError(f"{url!r} is no address; write https://HOST/PATH")
    return url


def _guid(text: str) -> str:
    if not _GUID.fullmatch(text):
        raise ValueError(f"{text!r} is no id; `az account show` tells those of your account")
    return text.lower()


def _some(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not ids:
        raise ValueError("name at least one; an alert of any other is never asked about")
    return ids


def _url_safe(token: SecretStr) -> SecretStr:
    # Senders elsewhere can try as often as they like.
    if len(token) < MIN_URL_TOKEN:
        raise ValueError(f"it has {len(token)} characters, at least {MIN_URL_TOKEN} are needed")
    if not _URL_SAFE.fullmatch(token.get_secret_value()):
        raise ValueError("it stands in an address: only letters, digits and . _ ~ - are possible")
    return token


Guid = Annotated[str, AfterValidator(_guid)]
Server = Annotated[str, AfterValidator(_server)]
Url = Annotated[str, AfterValidator(_url)]
UrlToken = Annotated[SecretStr, AfterValidator(_url_safe)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86_400)]


class EntraConfig(Section):
    """Whose tokens let a secure webhook in: those of one tenant for one app of ours.

    `issuers` and `keys_url` follow from the tenant and `login`, the cloud's sign-in service; set
    them where a cloud's differ.
    """

    tenant: Guid
    audience: str = Field(min_length=1)
    role: str = Field(default=ACTION_GROUPS_ROLE, min_length=1)
    sender_app: Guid = ACTION_GROUPS_APP
    login: Server = "https://login.microsoftonline.com"
    issuers: tuple[str, ...] = ()
    keys_url: Url | None = None
    ca: PresentFile | None = None


class AlertsApiConfig(Section):
    """How Azure is asked what fires, and about which subscriptions at all.

    `sign_in` is one of azure-identity's ways; a `token_file`, which somebody else keeps fresh,
    stands in for all of them.
    """

    subscriptions: Annotated[tuple[Guid, ...], AfterValidator(_some)]
    management: Server = "https://management.azure.com"
    sign_in: Literal["default", "managed_identity", "workload_identity", "client_secret"] = (
        "default"
    )
    tenant: Guid | None = None
    client_id: Guid | None = None
    client_secret: Secret | None = None
    login: Server = "https://login.microsoftonline.com"
    token_file: Annotated[BesideFile | None, HOLDS_SECRET] = None
    ca: PresentFile | None = None
    timeout_s: float = Field(default=3.0, gt=0, le=30)

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        given = (self.tenant, self.client_id, self.client_secret)
        if self.sign_in == "client_secret" and None in given:
            raise ValueError("a client that signs in needs `tenant`, `client_id` and its secret")
        if self.token_file is None and not is_installed("azure.identity"):
            raise ValueError("install quell[azure], which signs in, or set `token_file`")
        return self


class TtlConfig(Section):
    """How long a firing notice counts, in seconds from its event; none: until Azure resolves it."""

    metric: Seconds | None = None
    log: Seconds | None = None
    prometheus: Seconds | None = None
    stateless: Seconds = 900.0
    activity_log: Seconds = 3600.0
    resource_health: Seconds = 86_400.0
    service_health: Seconds = 7 * 86_400.0
    budget: Seconds = 86_400.0
    smart_detection: Seconds = 86_400.0
    other: Seconds = 86_400.0


class AzureLabelNames(LabelNames):
    """What is set alone leaves the others as they are here."""

    service: tuple[str, ...] = ("service", "Service", "application", "Application")
    resource: tuple[str, ...] = ("configuration_item", "resource")
    target: tuple[str, ...] = ("target", "configuration_item", "resource")
    environment: tuple[str, ...] = ("environment", "Environment", "env")
    team: tuple[str, ...] = ("team", "Team")
    customer: tuple[str, ...] = ("customer", "Customer", "tenant")
    region: tuple[str, ...] = ("region", "Region", "location")


class AzureMonitorConfig(CredentialsConfig):
    """One Entra tenant's action groups as a source.

    Any of the credentials lets a sender in. `stateless_rules` are metric and log rules without
    automatic resolution, which fire at each evaluation. `api` is where Azure can be asked what
    fires; without, an alert's last notice counts for its `ttl_s` or, without one, for
    `last_notice_counts_s`.
    """

    name: Name = KIND
    entra: EntraConfig | None = None
    url_tokens: tuple[UrlToken, ...] = ()
    ttl_s: TtlConfig = TtlConfig()
    stateless_rules: tuple[str, ...] = ()
    api: AlertsApiConfig | None = None
    last_notice_counts_s: Seconds = 6 * 3600.0
    labels: AzureLabelNames = AzureLabelNames()
