"""The engine's only reader of the environment and of quell.yaml; all else is handed what it needs.

Order: command line, then QUELL_SECTION__KEY, then quell.yaml, then the defaults. Unknown keys are
errors. `${env:X}`, `${file:X}` and `${vault:X}` alone in a text are replaced by the secret that
they name.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import re2
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    JsonValue,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from typing_extensions import override

from engine.catalog.mappings import read_mapping
from engine.catalog.yaml_composer import compose
from engine.catalog.yaml_findings import findings_of, said_of
from engine.catalog.yaml_nodes import Node, follow
from engine.catalog.yaml_plain import to_plain
from engine.core.documents import Duration, ModeName, SecretName, SeverityName
from engine.core.durations import parse_duration
from engine.core.egress import EgressConfig
from engine.core.findings import Finding
from engine.core.retention import Retention
from engine.core.rule_documents import RuleOverlay
from engine.core.sla import USUAL as USUAL_SLA
from engine.core.sla import SlaSection
from engine.errors import ConfigError
from engine.ports.known_secrets import HOLDS_SECRET, KNOWN
from engine.ports.vault import VaultAccess, read_secret

Model = TypeVar("Model", bound=BaseModel)

Role = Literal["gateway", "pipeline", "worker"]
ALL_ROLES: frozenset[Role] = frozenset({"gateway", "pipeline", "worker"})

DEFAULT_FILE = "quell.yaml"
_ADDRESS = r"^(\[[0-9a-fA-F:]+\]|[^:\[\]]+):\d+$"
_SECRET = r"\$\{(env|file|vault):([^}]+)\}"
_REFERENCE = r"\$\{(env|file|vault):"


class Section(BaseModel):
    """Root of all sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSection(Section):
    """Where the state is; without a url it is SQLite in the data folder."""

    url: SecretStr | None = None


class AccessSection(Section):
    """The installation's own token, else a new one at each start; `tokens` are people's own.

    Whoever has the token of a name acts as `token:NAME`, with the roles that `people` gives to it.
    """

    token: SecretStr | None = None
    tokens: Mapping[str, SecretStr] = {}


class PeopleSection(Section):
    """Who may decide: a role leads to actors (`slack:T1/U1`). `slack` is that connector's."""

    roles: Mapping[str, tuple[str, ...]] = {}
    slack: Mapping[str, JsonValue] | None = Field(default=None, repr=False)


class RecordsSection(Section):
    """Where postmortems go (default: DATA/postmortems). `jira` is that connector's."""

    postmortems: Path | None = None
    jira: Mapping[str, JsonValue] | None = Field(default=None, repr=False)


class AuditSection(Section):
    """What makes the journal's checkpoints provable to others.

    `signing_key` is Ed25519, PEM or base64; without it one is made in DATA/audit-key.pem, but with
    a PostgreSQL, that several share, checkpoints are unsigned, or refused where they are
    `required`. `verify_keys` are public keys of before; `copies` are files on other disks, and
    `copy_to_stream` adds a topic beside the alerts'.
    """

    signing_key: SecretStr | None = None
    verify_keys: tuple[str, ...] = ()
    copies: tuple[Path, ...] = ()
    copy_to_stream: bool = False
    required: bool = False


class TlsSection(Section):
    """TLS of the listen address, in PEM; the certificate's file has its chain.

    `client_ca` signs the certificates by which senders may get in; nobody has to show one.
    """

    certificate: Path
    key: Annotated[Path, HOLDS_SECRET]
    client_ca: Path | None = None


class ProxySection(Section):
    """A proxy in front, which says in a header whose certificate it checked.

    From any other address than the proxy's that header is dropped.
    """

    certificate_header: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    addresses: tuple[IPvAnyNetwork, ...] = Field(min_length=1)


class IntakeSection(Section):
    """How much each sender of each source may send; past it, 503 says when to come back."""

    requests_per_s: float = Field(default=1_000.0, gt=0)
    burst: int = Field(default=2_000, ge=1)


class Settings(BaseSettings):
    """quell.yaml. Sections whose shape belongs to a connector are checked by its Config."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="QUELL_", env_nested_delimiter="__"
    )

    listen: str = Field(default="127.0.0.1:8484", pattern=_ADDRESS)
    # Where a process without a gateway shows whether it is well; without it, nowhere.
    health_listen: str | None = Field(default=None, pattern=_ADDRESS)
    tls: TlsSection | None = None
    proxy: ProxySection | None = None
    intake: IntakeSection = IntakeSection()
    # What is under way gets so long to end when the process is told to stop.
    stop_grace: Duration = "15s"
    data: Path = Path("quell-data")
    store: StoreSection = StoreSection()
    # The raw sections of connectors may hold secrets, so no repr shows them.
    stream: Mapping[str, JsonValue] = Field(default={"uses": "embedded"}, repr=False)
    sources: Mapping[str, Mapping[str, JsonValue]] = Field(
        default={"alertmanager": {"uses": "alertmanager"}}, repr=False
    )
    shipped_mode: ModeName | None = None
    rules_dir: Path | None = None
    playbooks_dir: Path | None = None
    inventory: Path | None = None
    commands: Path | None = None
    policy: Path | None = None
    rules: Mapping[str, RuleOverlay] = {}
    access: AccessSection = AccessSection()
    people: PeopleSection = PeopleSection()
    records: RecordsSection = RecordsSection()
    audit: AuditSection = AuditSection()
    # That connector's; told when neither store nor stream can be used.
    emergency: Mapping[str, JsonValue] | None = Field(default=None, repr=False)
    sla: Mapping[SeverityName, SlaSection] = USUAL_SLA
    egress: EgressConfig = EgressConfig()
    retention: Retention = Retention()
    # What playbooks may use, by the names that they know.
    secrets: Mapping[SecretName, Annotated[SecretStr, Field(min_length=1)]] = {}

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the listen address."""
        return is_loopback(self.listen)

    @property
    def stop_grace_s(self) -> float:
        """In seconds."""
        return _duration("stop_grace", self.stop_grace).total_seconds()

    def roles_of(self, actor: str) -> frozenset[str]:
        """The roles that `people` gives to an actor."""
        return frozenset(role for role, actors in self.people.roles.items() if actor in actors)


def host_and_port(address: str) -> tuple[str, int]:
    """What HOST:PORT names; port 0 lets the system choose."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach HOST:PORT."""
    host, _ = host_and_port(address)
    return host in ("localhost", "::1") or host.startswith("127.")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings with the place of each value, so that a connector's mistakes can be shown there."""

    settings: Settings
    file: str
    node: Node | None

    def configure(self, model: type[Model], place: tuple[str, ...], values: object) -> Model:
        """A section as its connector's Config. Raises ConfigError with file:line:column.

        The file's folder is in the validators' context: relative paths count from it. From here
        its secrets are known, and no output of this process shows them.
        """
        folder = Path(self.file).parent
        try:
            config = model.model_validate(
                values, context={"folder": folder, "read_mapping": read_mapping}
            )
        except ValidationError as error:
            raise ConfigError(
                f"{self.file}: {'.'.join(place)} is not valid",
                _findings(error, follow(self.node, place)[0] if self.node else None, model, place),
            ) from None
        KNOWN.declare(config, ".".join(place), folder)
        return config


def _findings(
    error: ValidationError, node: Node | None, model: type[BaseModel], place: tuple[str, ...] = ()
) -> list[Finding]:
    """Each mistake in its place; values aren't shown, because they may be secrets."""
    if node is not None:
        return findings_of(error, node, model, show_values=False)
    return [
        Finding("settings", 0, 0, f"{'.'.join(map(str, (*place, *each['loc'])))}: {said_of(each)}")
        for each in error.errors(include_url=False)
    ]


def load_settings(file: Path | None, given: Mapping[str, object]) -> LoadedSettings:
    """Read quell.yaml (`file`, or ./quell.yaml when it is there), environment and `given`.

    Paths in the file are relative to it. Raises ConfigError with all mistakes.
    """
    path = file or Path(DEFAULT_FILE)
    if file is not None and not path.is_file():
        raise ConfigError(f"there is no file {str(path)!r}")
    node, values = None, {}
    if path.is_file():
        node = compose(path.read_bytes(), str(path), may_hold_secrets=True)
        plain = to_plain(node)
        if not isinstance(plain, Mapping):
            raise ConfigError(f"{path}: a mapping of settings is needed at the top")
        values = dict(resolve_secrets(plain, str(path)))
        _make_absolute(values, path.parent)

    overrides: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if node is not None:
        # By itself first, so that a mistake in the environment isn't shown in the file.
        _read(values, None, node)
    settings = _read(values, overrides, None)
    KNOWN.declare(settings, "", path.parent)
    for name, secret in settings.secrets.items():
        # As a JSON body has it: the base64 of such a body isn't that of the secret itself.
        spelled = json.dumps(secret.get_secret_value(), ensure_ascii=False)[1:-1]
        KNOWN.keep(f"secrets.{name}", spelled)
    return LoadedSettings(settings, str(path) if node else "settings", node)


def _read(
    values: Mapping[str, Any], overrides: Mapping[str, Any] | None, node: Node | None
) -> Settings:
    """Settings from a file's values alone, or below `overrides` and the environment."""

    class _Read(Settings):
        @classmethod
        @override
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            from_file = InitSettingsSource(settings_cls, init_kwargs=dict(values))
            if overrides is None:
                return (from_file,)
            return (init_settings, env_settings, from_file)

    try:
        return _Read(**(overrides or {}))
    except ValidationError as error:
        findings = _findings(error, node, Settings)
        raise ConfigError("the settings are not valid", findings) from None
    except SettingsError as error:
        # A section in one variable of the environment is JSON; the message names only the field.
        raise ConfigError(f"the environment: {error}; write JSON") from None


def _make_absolute(values: dict[str, Any], folder: Path) -> None:
    for key in ("data", "rules_dir", "playbooks_dir", "inventory", "commands", "policy"):
        if isinstance(values.get(key), str):
            values[key] = folder / values[key]
    records = values.get("records")
    if isinstance(records, Mapping) and isinstance(records.get("postmortems"), str):
        values["records"] = {**records, "postmortems": folder / records["postmortems"]}
    tls = values.get("tls")
    if isinstance(tls, Mapping):
        values["tls"] = {
            name: folder / each if isinstance(each, str) else each for name, each in tls.items()
        }
    audit = values.get("audit")
    if isinstance(audit, Mapping) and isinstance(audit.get("copies"), list):
        copies = [folder / each if isinstance(each, str) else each for each in audit["copies"]]
        values["audit"] = {**audit, "copies": copies}


def resolve_secrets(value: Any, file: str, place: tuple[str, ...] = ()) -> Any:
    """`value` with each `${env:X}`, `${file:X}` (relative to `file`) and `${vault:X}` replaced.

    `place` is where in the file it stands. What replaces a reference is a secret until the
    configuration that takes it says otherwise. Raises ConfigError without values, also for a
    reference with more around it: left as it is, it would be a credential that anybody can guess.
    """
    if isinstance(value, Mapping):
        return {key: resolve_secrets(each, file, (*place, key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [
            resolve_secrets(each, file, (*place, str(index))) for index, each in enumerate(value)
        ]
    if isinstance(value, str) and (found := re2.fullmatch(_SECRET, value)):
        where = f"{file}: {'.'.join(place)}: " if place else f"{file}: "
        secret = _secret(found.group(1), found.group(2), Path(file).parent, where)
        KNOWN.keep(".".join(place), secret)
        return secret
    if isinstance(value, str) and (found := re2.search(_REFERENCE, value)):
        raise ConfigError(
            f"{file}: {'.'.join(place)} has a reference '${{{found.group(1)}:…}}' with more around "
            "it; keep the whole text in the secret, and write the reference alone"
        )
    return value


def _secret(kind: str, name: str, folder: Path, where: str) -> str:
    if kind == "env":
        secret = os.environ.get(name)
        if secret is None:
            raise ConfigError(
                f"{where}the environment has no {name!r}; set it or drop the reference"
            )
        return secret
    if kind == "vault":
        access = VaultAccess.of(os.environ)
        if access.token:
            KNOWN.keep("VAULT_TOKEN", access.token)
        try:
            return read_secret(name, access)
        except ConfigError as error:
            raise ConfigError(f"{where}{error}") from None
    path = folder / name
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"{where}the secret file {str(path)!r} can't be read: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}the secret file {str(path)!r} isn't text in UTF-8") from None


def _duration(name: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


def notify_socket() -> str:
    """Where systemd wants to be told of this process; "" where it doesn't."""
    return os.environ.get("NOTIFY_SOCKET", "")
