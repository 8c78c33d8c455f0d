import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from connectors import registry
from engine.catalog import (
    CatalogSources,
    context_of,
    load_catalog,
    parse_playbook,
    shipped_folder,
    written_version,
)
from engine.core.ids import sha256_hex
from engine.core.rule_documents import RuleOverlay
from engine.errors import ConfigError
from tests.doubles.declarations import ACTIONS

RULES = """language: 1
rules:
  - id: %s
    description: It is down
    matchers: ['alertname="Down"']
    severity: P1
"""
PLAYBOOK = """language: 1
id: %s
description: Restart it
steps:
  - id: look
    uses: http.request
    with: {method: GET, url: 'http://a.example/'}
    rollback: none
verify:
  - id: answers
    uses: http.request
    with: {method: GET, url: 'http://a.example/'}
    until: %s
    within: 1m
"""


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def findings_of(sources: CatalogSources) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_catalog(sources, ACTIONS)
    return [str(each) for each in caught.value.findings]


def test_a_catalog_knows_its_texts_by_hash_and_its_version_follows(tmp_path: Path) -> None:
    rules = write(tmp_path / "rules", a=RULES % "down")
    sources = CatalogSources(rules=[rules], shipped=shipped_folder())
    first = load_catalog(sources, ACTIONS)
    text = (rules / "a.yaml").read_bytes()
    assert first.files["rules/a.yaml"] == sha256_hex(text)
    assert first.texts[sha256_hex(text)] == text
    assert not any("test" in name for name in first.files)
    assert load_catalog(sources, ACTIONS).version == first.version
    write(rules, a=RULES % "down" + "# a comment\n")
    assert load_catalog(sources, ACTIONS).version != first.version
    overlay = {"down": RuleOverlay(mode="observe")}
    overlaid = CatalogSources(rules=[rules], shipped=shipped_folder(), overlay=overlay)
    assert load_catalog(overlaid, ACTIONS).version != load_catalog(sources, ACTIONS).version


def test_rules_are_asked_in_order_and_what_takes_everything_comes_last(tmp_path: Path) -> None:
    everything = RULES % "mine-takes-all"
    everything = everything.replace("    matchers: ['alertname=\"Down\"']\n", "")
    rules = write(tmp_path / "rules", b=RULES % "second", a=RULES % "first", _a=everything)
    catalog = load_catalog(CatalogSources(rules=[rules], shipped=shipped_folder()), ACTIONS)
    *shipped, last = load_catalog(CatalogSources(shipped=shipped_folder()), ACTIONS).rules
    files = [rule.file for rule in shipped]
    assert files == sorted(files, key=str.encode)
    assert [rule.id for rule in catalog.rules] == [
        "first",
        "second",
        *(rule.id for rule in shipped),
        "mine-takes-all",
        last.id,
    ]
    assert last.id == "unmatched"


def test_auto_is_a_mistake_where_the_playbook_lacks_what_policy_requires(tmp_path: Path) -> None:
    auto = "    playbook: restart\n    mode: auto\n"
    rules = write(tmp_path / "rules", a=RULES % "down" + auto)
    playbooks = write(tmp_path / "playbooks", restart=PLAYBOOK % ("restart", "result.ok"))
    sources = CatalogSources(rules=[rules], playbooks=[playbooks], shipped=shipped_folder())
    (found,) = findings_of(sources)
    assert found.startswith(f"{rules / 'a.yaml'}:8:11: `auto` needs blast_radius and budget")
    less = tmp_path / "policy.yaml"
    less.write_text("language: 1\nrequire_for_auto: [verify, lock, source_confirms]\n")
    assert load_catalog(replace(sources, policy=less), ACTIONS).rules

    write(rules, a=RULES % "down" + auto.replace("auto", "approve"))
    overlay = {"down": RuleOverlay(mode="auto")}
    (found,) = findings_of(replace(sources, overlay=overlay))
    assert found.startswith("quell.yaml: rules.down.mode: `auto` needs blast_radius and budget")


def test_a_test_gives_its_steps_the_outputs_that_they_have(tmp_path: Path) -> None:
    playbooks = write(tmp_path / "playbooks", restart=PLAYBOOK % ("restart", "result.ok"))
    (playbooks / "restart.test.yaml").write_text(
        "language: 1\ntests:\n  - name: t\n    by_hand: [{playbook: restart}]\n"
        "    fakes: {look: [{result: {statuss: 200}}]}\n    expect: [{at: 1m, incidents: []}]\n"
    )
    (found,) = findings_of(CatalogSources(playbooks=[playbooks], shipped=shipped_folder()))
    assert "unknown output 'statuss', did you mean 'status'?" in found


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    rules = write(
        tmp_path / "rules",
        a=RULES % "down" + "    playbook: restrat\n",
        b=RULES % "down" + "    cron: daily\n    when: alert.nam == 'x'\n",
        c="language: 1\nlanguage: 1\n",
    )
    playbooks = write(tmp_path / "playbooks", restart=PLAYBOOK % ("restrt", "result.okk"))
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text("language: 1\ntargets: {a: {kind: host, connection: ssh}}\n")
    told = findings_of(
        CatalogSources(
            rules=[rules],
            playbooks=[playbooks],
            inventory=inventory,
            overlay={"donw": RuleOverlay(mode="auto")},
        )
    )
    at = [f"{Path(line.split(':')[0]).name}:{':'.join(line.split(':')[1:3])}" for line in told]
    assert at == [
        "inventory.yaml:2:39",
        "restart.yaml:2:5",
        "restart.yaml:13:12",
        "a.yaml:7:15",
        "b.yaml:3:9",
        "b.yaml:7:5",
        "b.yaml:8:11",
        "c.yaml:2:1",
        "quell.yaml: rules: unknown rule 'donw', did you mean 'down'?",
    ]
    everything = "\n".join(told)
    for said in (
        "unknown connection 'ssh'",
        "the id 'restrt' and the file's name 'restart' must be the same",
        "did you mean 'result.ok'?",
        "rule 'down' is already in",
        "there is no schedule",
        "did you mean 'alert.name'?",
        "did you mean 'down'?",
    ):
        assert said in everything


BY_NAME = """language: 1
id: by-name
description: Reload the unit
steps:
  - id: reload
    uses: ssh.run
    with: {host: gpu-01, command: reload-it, args: {unit: vllm}}
    rollback: none
verify:
  - id: runs
    uses: ssh.read
    with: {host: gpu-01, command: is-it-there, args: {unit: vllm}}
    until: result.exit_code == 0
    within: 1m
"""
INVENTORY = "language: 1\ntargets: {gpu-01: {kind: host, address: gpu-01.example}}\n"
COMMANDS = """language: 1
commands:
  reload-it:
    argv: [systemctl, reload, '${{ args.unit }}']
    args: {unit: {}}
    effect: change
    repeat: harmless
  is-it-there:
    argv: [systemctl, is-active, '${{ args.unit }}']
    args: {unit: {}}
    effect: read
    repeat: harmless
"""


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        pytest.param("commands", "effect: change", "effect: chang", id="a value"),
        pytest.param("commands", "repeat: harmless", "# none", id="a missing key"),
        pytest.param("commands", "args: {unit", "argz: {unit", id="an unknown key"),
        pytest.param("commands", "argv: [", "argv: [[", id="no YAML"),
        pytest.param("inventory", "kind:", "kinds:", id="an unknown key in the inventory"),
        pytest.param("inventory", "{kind", "{{kind", id="an inventory that is no YAML"),
    ],
)
def test_what_a_file_with_mistakes_has_is_not_called_unknown_elsewhere(
    tmp_path: Path, name: str, right: str, wrong: str
) -> None:
    texts = {"inventory": INVENTORY, "commands": COMMANDS}
    folder = write(tmp_path / "playbooks", **{"by-name": BY_NAME}, commands=COMMANDS)
    write(tmp_path, inventory=INVENTORY)
    sources = CatalogSources(playbooks=[folder], inventory=tmp_path / "inventory.yaml")
    load_catalog(sources, registry.declarations())
    write(folder if name == "commands" else tmp_path, **{name: texts[name].replace(right, wrong)})
    with pytest.raises(ConfigError) as caught:
        load_catalog(sources, registry.declarations())
    files = {Path(str(each).partition(":")[0]).stem for each in caught.value.findings}
    assert files == {name}


def test_a_file_of_ones_own_replaces_the_shipped_of_the_same_id(tmp_path: Path) -> None:
    rules = write(tmp_path / "rules", a=RULES % "vllm-not-answering")
    playbooks = write(
        tmp_path / "playbooks",
        **{"restart-worker": PLAYBOOK % ("restart-worker", "result.ok")},
        commands="language: 1\ncommands: {gpu-state: {argv: [a], effect: read, repeat: harmless}}",
    )
    sources = CatalogSources(rules=[rules], playbooks=[playbooks], shipped=shipped_folder())
    told = findings_of(sources)
    # The shipped rule for it gives a parameter that this one doesn't have.
    assert len(told) == 1
    assert "unknown parameter of playbook 'restart-worker' 'host'" in told[0]
    off = {"gpu-memory-leak": RuleOverlay(enabled=False)}
    catalog = load_catalog(
        CatalogSources(rules=[rules], playbooks=[playbooks], shipped=shipped_folder(), overlay=off),
        ACTIONS,
    )
    replaced = [rule for rule in catalog.rules if rule.id == "vllm-not-answering"]
    assert [rule.file for rule in replaced] == ["rules/a.yaml"]
    assert catalog.rule("gpu-memory-leak") is None
    assert catalog.playbooks["restart-worker"].description == "Restart it"
    assert catalog.estate.commands["gpu-state"].argv == ("a",)
    assert "restart-unit" in catalog.estate.commands


def test_one_thing_may_not_be_written_twice(tmp_path: Path) -> None:
    command = "language: 1\ncommands: {x: {argv: [a], effect: read, repeat: harmless}}"
    folder = write(tmp_path / "c", a=command, b=command)
    (told,) = findings_of(CatalogSources(commands=[folder]))
    assert "command 'x' is already in" in told


def test_a_broken_test_beside_a_rule_is_told(tmp_path: Path) -> None:
    rules = write(tmp_path / "rules", a=RULES % "down")
    (rules / "a.test.yaml").write_text(
        "language: 1\ntests: [{name: x, alerts: [{resolve: a}], expect: [{incidents: []}]}]"
    )
    (told,) = findings_of(CatalogSources(rules=[rules]))
    assert "a.test.yaml:2:38: unknown alert that fired before 'a'" in told


def test_roles_are_checked_where_they_are_known(tmp_path: Path) -> None:
    playbook = PLAYBOOK % ("restart", "result.ok") + "approval: {from: ['role:dba']}\n"
    playbooks = write(tmp_path / "playbooks", restart=playbook)
    load_catalog(CatalogSources(playbooks=[playbooks]), ACTIONS)
    sources = CatalogSources(playbooks=[playbooks], roles=frozenset({"oncall"}))
    (told,) = findings_of(sources)
    assert "unknown role 'dba'; there is oncall" in told


def test_secrets_are_checked_where_they_are_known(tmp_path: Path) -> None:
    playbook = PLAYBOOK % ("restart", "result.ok") + (
        "parameters: {token: {type: secret, default: balancer}}\n"
    )
    playbooks = write(tmp_path / "playbooks", restart=playbook)
    catalog = load_catalog(CatalogSources(playbooks=[playbooks]), ACTIONS)
    assert catalog.playbooks["restart"].parameters["token"].default == "${secret:balancer}"
    (told,) = findings_of(CatalogSources(playbooks=[playbooks], secrets=frozenset()))
    assert "'balancer' is none of the `secrets` of quell.yaml" in told


def test_a_run_goes_on_with_the_exact_text_that_it_began_with(tmp_path: Path) -> None:
    playbooks = write(tmp_path / "playbooks", restart=PLAYBOOK % ("restart", "result.ok"))
    first = load_catalog(CatalogSources(playbooks=[playbooks]), ACTIONS)
    old = first.playbooks["restart"].text_hash
    write(playbooks, restart=PLAYBOOK % ("restart", "result.status == 200"))
    now = load_catalog(CatalogSources(playbooks=[playbooks]), ACTIONS)
    assert now.playbooks["restart"].text_hash != old
    context = context_of(now, ACTIONS)
    again = parse_playbook(first.texts[old], {}, context)
    assert again.text_hash == old
    assert again.verify[0].until is not None
    assert again.verify[0].until.text == "result.ok"
    with pytest.raises(ConfigError, match="unknown name"):
        parse_playbook((PLAYBOOK % ("restart", "result.okk")).encode(), {}, context)


@pytest.fixture(params=[True, False], ids=["collected", "not collected"])
def is_collected(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether garbage is looked for before a catalog is loaded."""
    before: bool = request.param
    was_enabled = gc.isenabled()
    (gc.enable if before else gc.disable)()
    yield before
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("until", ["result.status == 200", "result.nothing"])
def test_garbage_is_looked_for_after_loading_as_before(
    tmp_path: Path, until: str, *, is_collected: bool
) -> None:
    folder = write(tmp_path / "playbooks", a=PLAYBOOK % ("a", until))
    with suppress(ConfigError):
        load_catalog(CatalogSources(playbooks=[folder]), ACTIONS)
    assert gc.isenabled() is is_collected


def test_nothing_at_all_is_an_empty_catalog() -> None:
    catalog = load_catalog(CatalogSources(), ACTIONS)
    assert (list(catalog.rules), dict(catalog.playbooks)) == ([], {})


def test_the_version_of_the_files_is_the_catalog_s_until_one_is_edited(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.yaml").write_text("language: 1\nrules: []\n")
    sources = CatalogSources(rules=[rules])
    version = load_catalog(sources, ACTIONS).version
    assert written_version(sources) == version
    (rules / "a.test.yaml").write_text("language: 1\ntests: []\n")
    assert written_version(sources) == version, "tests decide nothing"
    (rules / "a.yaml").write_text("language: 1\nrules: []\n# edited\n")
    edited = written_version(sources)
    assert edited != version
    assert written_version(CatalogSources(rules=[rules, tmp_path / "gone"])) not in (
        version,
        edited,
    )
