"""What configures a Cloud Monitoring source."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from engine.ports.credentials import BasicCredentials, Name, Secret, Section
from engine.ports.file_paths import PresentFile
from engine.ports.known_secrets import HOLDS_SECRET
from engine.ports.payload import LabelNames

KIND = "cloud-monitoring"
MAX_LASTS_S = 30 * 86_400.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# RFC 3986's unreserved characters, so that the address has the token as it is.
_URL_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")


def _google_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"{url!r} is no address for an access token; write https://HOST")
    # The journal says who was asked.
    if "@" in url or parts.query:
        raise ValueError("an address holds no user, no password and no query")
    return url.rstrip("/")


def _url_token(token: SecretStr) -> SecretStr:
    if not _URL_TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("a token in an address has letters, digits and ._~- only")
    return token


def _written(pattern: str, as_what: str) -> AfterValidator:
    form = re.compile(pattern)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"{text!r} is none; write {as_what}")
        return text

    return AfterValidator(check)


GoogleAddress = Annotated[str, AfterValidator(_google_address)]
UrlToken = Annotated[Secret, AfterValidator(_url_token)]
Subscription = Annotated[
    str,
    _written(
        r"projects/[a-z0-9.:-]{1,64}/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}",
        "projects/PROJECT/subscriptions/NAME",
    ),
]
ProjectId = Annotated[
    str, _written(r"[a-z0-9][a-z0-9.:-]{2,63}", "a project's id, as in `gcloud projects list`")
]


class PushConfig(Section):
    """Whose Pub/Sub pushes get in: the token's audience and service account.

    With `subscriptions`, only those.
    """

    audience: str = Field(min_length=1)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    subscriptions: tuple[Subscription, ...] = ()
    keys: GoogleAddress = "https://www.googleapis.com/oauth2/v3/certs"
    ca: PresentFile | None = None


class PullConfig(Section):
    """Pub/Sub subscriptions that quell empties itself, so that nobody has to reach it."""

    subscriptions: Annotated[tuple[Subscription, ...], Field(min_length=1)]
    endpoint: GoogleAddress = "https://pubsub.googleapis.com"


class AlertsApiConfig(Section):
    """Whose alerts can be asked about: a notice of any other project is believed, and no more."""

    projects: Annotated[tuple[ProjectId, ...], Field(min_length=1)]
    endpoint: GoogleAddress = "https://monitoring.googleapis.com"
    timeout_s: float = Field(default=3.0, gt=0, le=30)


class GoogleLabelNames(LabelNames):
    """Which labels fill an alert's fields; see connectors.sources.cloud_monitoring.labels."""

    service: tuple[str, ...] = (
        *("service", "resource_service_name", "resource_service", "resource_service_id"),
        *("metadata_service", "metadata_app", "resource_function_name", "resource_job_name"),
        *("resource_module_id", "resource_container_name"),
    )
    resource: tuple[str, ...] = (
        *("resource", "resource_endpoint_id", "resource_instance_id", "resource_pod_name"),
        *("resource_revision_name", "resource_database_id", "resource_node_name"),
        *("resource_cluster_name", "resource_host", "resource_subscription_id"),
        "resource_topic_id",
    )
    target: tuple[str, ...] = (
        *("target", "metric_instance_name", "system_name", "resource_display_name"),
        *("resource_instance_id", "resource_host", "resource_node_name"),
    )
    environment: tuple[str, ...] = (
        *("environment", "env", "metadata_environment", "metadata_env"),
    )
    team: tuple[str, ...] = ("team", "metadata_team")
    customer: tuple[str, ...] = ("customer", "tenant", "metadata_customer", "metadata_tenant")


class CloudMonitoringConfig(Section):
    """One Cloud Monitoring, whose notices come by webhook, by Pub/Sub push or by pull.

    `tokens` are those in a webhook's address, `?auth_token=`. Any of the credentials lets a
    sender in, so that one can be replaced while both are in use; without any only loopback
    senders get in. `credentials_file` is a service account's key, or a workload identity
    federation's configuration, for `pull` and `api`; without, the application default
    credentials count.
    """

    name: Name = KIND
    tokens: tuple[UrlToken, ...] = ()
    basic: tuple[BasicCredentials, ...] = ()
    push: PushConfig | None = None
    pull: PullConfig | None = None
    api: AlertsApiConfig | None = None
    credentials_file: Annotated[PresentFile | None, HOLDS_SECRET] = None
    last_notice_counts_s: float = Field(default=5 * 3600.0, gt=0, le=MAX_LASTS_S)
    log_match_lasts_s: float = Field(default=4 * 3600.0, gt=0, le=MAX_LASTS_S)
    labels: GoogleLabelNames = GoogleLabelNames()
