"""Settings: whose word counts, where a mistake is, and that no secret is ever shown."""

import base64
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from engine.core.sla import USUAL as USUAL_SLA
from engine.errors import ConfigError
from engine.ports.known_secrets import KNOWN
from engine.settings import (
    LoadedSettings,
    host_and_port,
    load_settings,
    resolve_secrets,
)

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, without anything of this process's environment."""
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        for name in [each for each in os.environ if each.startswith("QUELL_")]:
            patch.delenv(name)
        yield


def load(tmp_path: Path, text: str, **given: object) -> LoadedSettings:
    file = tmp_path / "quell.yaml"
    file.write_text(text)
    return load_settings(file, given)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return [str(each).removeprefix(f"{tmp_path}/") for each in caught.value.findings]


def test_without_anything_it_is_the_embedded_system_on_loopback() -> None:
    loaded = load_settings(None, {})
    settings = loaded.settings
    assert host_and_port(settings.listen) == ("127.0.0.1", 8484)
    assert settings.loopback
    assert settings.data == Path("quell-data")
    assert settings.store.url is None
    assert settings.stream == {"uses": "embedded"}
    assert dict(settings.sources) == {"alertmanager": {"uses": "alertmanager"}}
    assert (loaded.file, loaded.node) == ("settings", None)


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "listen: 127.0.0.1:1\ndata: from-file\nshipped_mode: observe\n"
    monkeypatch.setenv("QUELL_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("QUELL_DATA", "from-environment")
    settings = load(tmp_path, text, listen="127.0.0.1:3", data=None).settings
    assert host_and_port(settings.listen)[1] == 3
    assert settings.data == Path("from-environment")
    assert settings.shipped_mode == "observe"
    assert settings.policy is None


def test_one_key_of_a_section_is_set_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUELL_ACCESS__TOKEN", SECRET)
    monkeypatch.setenv("QUELL_PEOPLE__ROLES", '{"oncall": ["slack:T1/U1"]}')
    settings = load(tmp_path, "people: {slack: {channel: C1}}\n").settings
    assert settings.access.token is not None
    assert settings.access.token.get_secret_value() == SECRET
    assert settings.roles_of("slack:T1/U1") == {"oncall"}
    assert settings.roles_of("slack:T1/U2") == frozenset()
    assert settings.people.slack == {"channel": "C1"}


def test_the_file_in_the_folder_is_read_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "quell.yaml").write_text("listen: '[::1]:9'\n")
    settings = load_settings(None, {}).settings
    assert host_and_port(settings.listen) == ("::1", 9)
    assert settings.loopback


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file 'other\.yaml'"):
        load_settings(Path("other.yaml"), {})


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [("localhost:1", True), ("127.9.9.9:1", True), ("0.0.0.0:1", False), ("[::]:1", False)],
)
def test_only_loopback_addresses_are_loopback(listen: str, *, loopback: bool) -> None:
    assert load_settings(None, {"listen": listen}).settings.loopback is loopback


MISTAKES = {
    "unknown key": ("listn: x\n", "quell.yaml:1:1: unknown key 'listn', did you mean 'listen'?"),
    "unknown key in a section": (
        "store:\n  uri: x\n",
        "quell.yaml:2:3: unknown key 'uri', did you mean 'url'?",
    ),
    "closed set": (
        f"shipped_mode: {SECRET}\n",
        "quell.yaml:1:15: this must be one of observe, suggest, approve, auto",
    ),
    "form": (
        f"listen: {SECRET}\n",
        r"quell.yaml:1:9: this must have the form ^(\[[0-9a-fA-F:]+\]|[^:\[\]]+):\d+$",
    ),
    "type": (f"people: {SECRET}\n", "quell.yaml:1:9: keys and values must be here"),
    "secret of the wrong type": (
        f"access: {{token: [{SECRET}]}}\n",
        "quell.yaml:1:17: text must be here",
    ),
    "name of a secret": (
        f"secrets: {{Balancer: {SECRET}}}\n",
        "quell.yaml:1:11: this must have the form lower case letters, digits, '_' and '-', "
        "at most 63",
    ),
    "secret without a value": (
        "secrets: {balancer: ''}\n",
        "quell.yaml:1:21: this must not be empty",
    ),
    "path of the wrong type": ("policy: [a]\n", "quell.yaml:1:9: a path must be here"),
}


@pytest.mark.parametrize(("text", "finding"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_at_its_place_without_the_value(
    tmp_path: Path, text: str, finding: str
) -> None:
    assert mistakes(tmp_path, text) == [finding]


def test_all_mistakes_of_the_file_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "listn: x\nstore: {uri: x}\nshipped_mode: none\n")
    assert [each.split(": ")[0] for each in found] == [
        "quell.yaml:1:1",
        "quell.yaml:2:9",
        "quell.yaml:3:15",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QUELL_LISTEN", SECRET, "listen: this must have the form"),
        ("QUELL_SHIPPED_MODE", SECRET, "shipped_mode: this must be one of observe"),
        ("QUELL_STORE__URI", SECRET, "store.uri: this key is unknown"),
        ("QUELL_SOURCES", f"{{{SECRET}", 'field "sources"'),
    ],
)
def test_a_mistake_in_the_environment_is_not_shown_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "listen: 127.0.0.1:1\n")
    assert said in str(caught.value)
    assert "quell.yaml" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_top_of_the_file_must_be_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a mapping of settings"):
        load(tmp_path, "- listen\n")


def test_secrets_come_from_the_environment_and_from_files_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", SECRET)
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "url").write_text("postgresql://a\n")
    text = "access: {token: '${env:A_TOKEN}'}\nstore: {url: '${file:url}'}\n"
    settings = load(folder, text).settings
    assert settings.access.token is not None
    assert settings.access.token.get_secret_value() == SECRET
    assert settings.store.url is not None
    assert settings.store.url.get_secret_value() == "postgresql://a"
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("text", ["hunter2 ${env:T}", "${env:T}hunter2", "a${env:hunter2"])
def test_a_reference_with_more_around_it_is_refused_without_the_text(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_secrets({"a": [text]}, "f.yaml")
    assert str(caught.value) == (
        "f.yaml: a.0 has a reference '${env:…}' with more around it; keep the whole text in the "
        "secret, and write the reference alone"
    )


def test_what_is_no_reference_stays(tmp_path: Path) -> None:
    value = {"a": ["${{ params.x }}", "$env:A", "${A}", 5, None]}
    assert resolve_secrets(value, str(tmp_path / "f.yaml")) == value


def test_secrets_are_found_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", SECRET)
    assert resolve_secrets({"a": [{"b": "${env:A_TOKEN}"}]}, "f") == {"a": [{"b": SECRET}]}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${env:NOT_THERE}", "the environment has no 'NOT_THERE'"),
        ("${file:not-there}", "not-there' can't be read: No such file"),
        ("${file:binary}", "binary' isn't text"),
    ],
)
def test_a_secret_that_is_not_there_is_told_by_name(
    tmp_path: Path, reference: str, said: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"quell\.yaml: access\.token: ") as caught:
        load(tmp_path, f"access: {{token: '{reference}'}}\n")
    assert said in str(caught.value)


def test_paths_in_the_file_are_relative_to_it_and_others_to_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    text = "data: d\nrules_dir: r\npolicy: /p.yaml\nrecords: {postmortems: m}\n"
    settings = load(folder, text, inventory="i.yaml").settings
    assert settings.data == folder / "d"
    assert settings.rules_dir == folder / "r"
    assert settings.policy == Path("/p.yaml")
    assert settings.records.postmortems == folder / "m"
    assert settings.inventory == Path("i.yaml")


def test_the_promises_by_severity(tmp_path: Path) -> None:
    assert load_settings(None, {}).settings.sla == USUAL_SLA
    read = load(tmp_path, "sla: {P3: {mitigate: 1d}, P1: {acknowledge: 1m}}\n").settings.sla
    assert (read["P3"].mitigate, read["P1"].acknowledge) == (
        timedelta(days=1),
        timedelta(minutes=1),
    )
    with pytest.raises(ConfigError, match="this isn't a duration"):
        load(tmp_path, "sla: {P1: {resolve: soon}}\n")


def test_retention_is_read_with_its_units_and_its_mistakes_have_a_place(tmp_path: Path) -> None:
    kept = load(tmp_path, "retention: {stream: 14d, dead_letters_size: 1GiB}\n").settings.retention
    assert (kept.stream, kept.dead_letters_size) == (timedelta(days=14), 2**30)
    text = "retention:\n  stream: soon\n  dead_letters_size: 1GB\n  occurrences: 3\n"
    assert [each.partition(": ")[0] for each in mistakes(tmp_path, text)] == [
        "quell.yaml:2:11",
        "quell.yaml:3:22",
        "quell.yaml:4:16",
    ]


class Connector(BaseModel):
    model_config = ConfigDict(extra="forbid")
    token: SecretStr = Field(min_length=5)
    retries: int = 1


def test_a_connectors_mistakes_are_told_in_its_section(tmp_path: Path) -> None:
    text = f"people:\n  slack:\n    token: {SECRET}\n    retires: 3\n"
    loaded = load(tmp_path, text)
    assert loaded.settings.people.slack is not None
    with pytest.raises(ConfigError, match=r"people\.slack is not valid") as caught:
        loaded.configure(Connector, ("people", "slack"), dict(loaded.settings.people.slack))
    (finding,) = map(str, caught.value.findings)
    assert finding.endswith("quell.yaml:4:5: unknown key 'retires', did you mean 'retries'?")
    good = loaded.configure(Connector, ("people", "slack"), {"token": SECRET})
    assert (good.token.get_secret_value(), good.retries) == (SECRET, 1)


def test_a_connectors_mistakes_are_told_without_a_file_too() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {}).configure(Connector, ("people", "slack"), {"token": [SECRET]})
    (finding,) = map(str, caught.value.findings)
    assert finding == "settings: people.slack.token: text must be here"


WRONG_PLACES = (
    "listen: SECRET",
    "data: {a: SECRET}",
    "access: SECRET",
    "access: {tokn: SECRET}",
    "access: {token: [SECRET]}",
    "access: {token: !SECRET}",
    "access: {token: &SECRET x}",
    "access: {token: *SECRET}",
    "access: {token: SECRET # x}",
    "access: {token: 'a' SECRET}",
    "access: {token: 'SECRET}",
    'access: {token: "SECRET\\q"}',
    "access: {token: SECRET",
    "access:\n  token: SECRET: x",
    "access:\n  token: @SECRET",
    "access:\n  token: `SECRET",
    "access:\n  token: %SECRET",
    "access:\n  token: SECRET\n bad",
    "access:\n\ttoken: SECRET",
    "people: {slack: SECRET}",
    "people: {roles: {oncall: SECRET}}",
    "stream: SECRET",
    "shipped_mode: SECRET",
    "audit: {copies: SECRET}",
    "- SECRET",
    "SECRET",
    # Digits, which could be a number.
    "access:\n  token: 0123456789123456789123",
    "access: {token: 0123456789123456789123}",
)


@pytest.mark.parametrize("text", WRONG_PLACES)
def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text.replace("SECRET", SECRET) + "\n")
    assert SECRET not in str(caught.value)
    assert "0123456789" not in str(caught.value)
    assert caught.value.findings or "mapping" in str(caught.value)


def test_all_that_is_secret_is_known_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "tok-en-1234")
    monkeypatch.setenv("CHANNEL", "C0123-ABCD")
    monkeypatch.setenv("LISTEN", "127.0.0.1:8485")
    monkeypatch.setenv("QUELL_STORE__URL", "postgresql://quell:p%40ss-w0rd@db.example/quell")
    monkeypatch.setenv("QUELL_SECRETS__PAGER_KEY", "pa-ger-1234")
    (tmp_path / "seed").write_text("se-ed-12345678\n")
    text = (
        "listen: ${env:LISTEN}\n"
        "access: {token: '${env:TOKEN}'}\n"
        "audit: {signing_key: '${file:seed}'}\n"
        "secrets: {balancer-token: 'ba-\"lancer-1'}\n"
        "people: {slack: {token: written-out-1, channel: '${env:CHANNEL}'}}\n"
    )
    loaded = load(tmp_path, text)
    known = KNOWN.masker
    for secret, place in {
        "tok-en-1234": "access.token",
        "p@ss-w0rd": "store.url",
        "se-ed-12345678": "audit.signing_key",
        'ba-"lancer-1': "secrets.balancer-token",
        base64.b64encode(rb'{"a":"ba-\"lancer-1"}').decode(): "secrets.balancer-token",
        "pa-ger-1234": "secrets.pager_key",
        # Nobody has said yet what it is.
        "C0123-ABCD": "people.slack.channel",
    }.items():
        assert known.found(secret) == place
    for public in ("127.0.0.1:8485", "db.example", "written-out-1"):
        assert known.found(public) == ""

    class Slack(BaseModel):
        token: SecretStr
        channel: str

    assert loaded.settings.people.slack is not None
    loaded.configure(Slack, ("people", "slack"), loaded.settings.people.slack)
    assert KNOWN.masker.found("written-out-1") == "people.slack.token"
    assert KNOWN.masker.found("C0123-ABCD") == ""
