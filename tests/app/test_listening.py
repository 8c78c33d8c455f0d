"""How quell listens, from its settings: TLS, a proxy in front, and how much a sender may send."""

from pathlib import Path

import pytest

from engine.app import load_connectors, open_engine
from engine.cli.server_file import running_engine
from engine.cli.site import reach
from engine.core.findings import Finding
from engine.errors import ConfigError
from engine.gateway.access import TrustedProxy
from engine.settings import LoadedSettings, Settings, load_settings
from tests.cli.project import Project
from tests.services.certificates import Authority

SETTINGS_PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
EMPTY = {"inventory": "targets: {}\n", "commands": "commands: {}\n", "policy": "ceilings: []\n"}
TLS = "tls: {certificate: am.pem, key: am.key, client_ca: ca.pem}\n"


def test_the_page_of_settings_is_a_file_that_loads_and_names_every_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALERTMANAGER_TOKEN", "BALANCER_TOKEN", "BEA_TOKEN", "JIRA_TOKEN"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("EMERGENCY_URL", "https://hooks.example/secret")
    monkeypatch.setenv("QUELL_STORE_URL", "postgresql://quell@127.0.0.1:9/quell")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-secret")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    (tmp_path / "token").write_text("secret")
    for folder in ("rules", "playbooks"):
        (tmp_path / folder).mkdir()
    for name in ("inventory", "commands", "policy"):
        (tmp_path / f"{name}.yaml").write_text("language: 1\n" + EMPTY[name])
    authority = Authority(tmp_path / "tls")
    certificate = authority.issue("quell")
    for path, name in ((certificate.certificate, "quell.pem"), (certificate.key, "quell.key")):
        path.rename(tmp_path / "tls" / name)
    authority.certificate.rename(tmp_path / "tls" / "senders.pem")
    block = SETTINGS_PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "quell.yaml"
    file.write_text(block.replace("/run/secrets/quell", "token"))
    loaded = load_settings(file, {})
    assert load_connectors(loaded).tracker is not None
    assert {line.split(":")[0] for line in block.splitlines() if line[0].isalpha()} == set(
        Settings.model_fields
    )


def settings(folder: Path, text: str) -> LoadedSettings:
    """With the files of a certificate beside quell.yaml."""
    Authority(folder).issue("am")
    file = folder / "quell.yaml"
    file.write_text(f"listen: 127.0.0.1:0\ndata: data\n{text}")
    return load_settings(file, {})


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_connectors(settings(folder, text))
    assert all(isinstance(each, Finding) for each in caught.value.findings)
    return [str(each).removeprefix(f"{folder}/") for each in caught.value.findings]


SENDERS = "sources:\n  am:\n    uses: alertmanager\n    senders: {fra: {certificates: [x]}}\n"


@pytest.mark.parametrize("text", ["", TLS.replace(", client_ca: ca.pem", "")], ids=["none", "half"])
def test_certificates_that_nobody_checks_are_a_mistake(tmp_path: Path, text: str) -> None:
    [mistake] = mistakes(tmp_path, SENDERS + text)
    assert mistake.startswith("quell.yaml:6:14: ")
    assert "set tls.client_ca, or proxy.certificate_header" in mistake


@pytest.mark.parametrize(
    "text", [TLS, "proxy: {certificate_header: X-Client, addresses: [10.0.0.0/8]}\n"], ids=str
)
def test_certificates_that_quell_or_a_proxy_checks_are_credentials(
    tmp_path: Path, text: str
) -> None:
    [source] = load_connectors(settings(tmp_path, SENDERS + text)).sources["am"]
    assert source.has_credentials


def test_a_certificate_that_cannot_be_used_is_told_with_all_other_mistakes(tmp_path: Path) -> None:
    text = "sources: {am: {uses: alertmanger}}\n" + TLS.replace("am.key", "ca.pem")
    assert [each.partition(": ")[0] for each in mistakes(tmp_path, text)] == [
        "quell.yaml:3:22",
        "quell.yaml:4:6",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("proxy: {certificate_header: 'X Y', addresses: [10.0.0.0/8]}", "must have the form"),
        ("proxy: {certificate_header: X, addresses: [10.0.0.1/8]}", "network"),
        ("proxy: {certificate_header: X, addresses: []}", "must not be empty"),
        ("intake: {requests_per_s: 0}", "greater than 0"),
        ("intake: {burst: 0}", "greater than or equal to 1"),
        ("tls: {certificate: am.pem}", "key"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text)
    assert says in str(caught.value.findings)


async def test_the_gateway_is_told_of_its_proxy_and_its_limits(tmp_path: Path) -> None:
    text = (
        "proxy: {certificate_header: X-Client, addresses: [10.0.0.0/8]}\n"
        "intake: {requests_per_s: 5, burst: 7}\n"
    )
    async with open_engine(settings(tmp_path, text)) as engine:
        parts = engine.parts
    assert isinstance(parts.proxy, TrustedProxy)
    assert (parts.proxy.header, parts.proxy.is_at("10.9.9.9")) == ("x-client", True)
    assert (parts.limits.requests_per_s, parts.limits.burst) == (5.0, 7)


def test_the_verbs_speak_tls_with_the_engine_of_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    project.write()
    Authority(tmp_path).issue("am", ["localhost"])
    project.config.write_text(project.config.read_text() + TLS)
    engine = project.engine()
    engine.start(project.is_up)
    try:
        running = running_engine(project.data)
        assert running is not None
        assert running.url.startswith("https://127.0.0.1:")
        with reach(project.data) as site:
            assert site.incidents().incidents == ()
        monkeypatch.setenv("QUELL_SERVER", running.url.replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("QUELL_TOKEN", running.token.get_secret_value())
        monkeypatch.setenv("QUELL_CA", str(tmp_path / "ca.pem"))
        with reach(project.data) as site:
            assert site.incidents().incidents == ()
    finally:
        engine.stop()
