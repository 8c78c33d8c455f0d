"""What the shipped commands for Azure send, by a real shell: nothing forgotten or overwritten."""

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from engine.core.host_commands import render_command
from tests.catalog.test_shipped_commands import COMMANDS

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
PROVIDERS = f"{SUBSCRIPTION}/resourceGroups/llm-prod/providers"
DEPLOYMENT = f"{PROVIDERS}/Microsoft.CognitiveServices/accounts/llm/deployments/chat"
ENDPOINT = f"{PROVIDERS}/Microsoft.MachineLearningServices/workspaces/ml/onlineEndpoints/llama"
OPENAI: dict[str, Any] = {
    "id": DEPLOYMENT,
    "sku": {"name": "GlobalStandard", "capacity": 120},
    "tags": {"team": "inference"},
    "properties": {
        "provisioningState": "Succeeded",
        "model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"},
        "versionUpgradeOption": "OnceNewDefaultVersionAvailable",
        "raiPolicyName": "strict",
        "spilloverDeploymentName": "spare",
    },
}
ONLINE: dict[str, Any] = {
    "location": "westeurope",
    "identity": {"type": "SystemAssigned"},
    "properties": {
        "provisioningState": "Succeeded",
        "authMode": "Key",
        "traffic": {"green": 60, "blue": 10, "red": 30},
    },
}
INSTANCES: dict[str, Any] = {
    "sku": {"name": "Default", "capacity": 2},
    "properties": {"provisioningState": "Succeeded", "instanceType": "a100"},
}
VERSION = {
    "deployment": DEPLOYMENT,
    "seen": "2024-11-20",
    "version": "2024-08-06",
    "upgrades": "OnceCurrentVersionExpired",
}
CAPACITY = {"deployment": DEPLOYMENT, "seen": 120, "wanted": 200}
NUMBER = {"deployment": f"{ENDPOINT}/deployments/blue", "seen": 2, "wanted": 4}
TRAFFIC = {
    "online_endpoint": ENDPOINT,
    "failing": "green",
    "before": "blue",
    "failing_seen": 60,
    "before_seen": 10,
    "failing_share": 0,
    "before_share": 70,
}
CHANGES = [
    pytest.param("set-azure-openai-version", VERSION, OPENAI, id="version"),
    pytest.param("set-azure-openai-capacity", CAPACITY, OPENAI, id="capacity"),
    pytest.param("set-azure-ml-instances", NUMBER, INSTANCES, id="instances"),
    pytest.param("set-azure-ml-traffic", TRAFFIC, ONLINE, id="traffic"),
]
# Stands for az: one document is what every GET gives, and what is sent otherwise is kept.
AZ = """\
#!{python}
import json, pathlib, sys
import jmespath
here = pathlib.Path(__file__).parent
assert sys.argv[1] == "rest"
given = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
if given["--method"] == "get" and (here / "down").exists():
    sys.exit(3)
answer = json.loads((here / "document").read_text())
if given["--method"] != "get":
    sent = [given["--method"], given["--url"], json.loads(given["--body"] or "null")]
    (here / "sent").write_text(json.dumps(sent))
found = jmespath.search(given["--query"], answer)
if given["--output"] == "json":
    print(json.dumps(found))
else:
    for row in found if isinstance(found, list) else [found]:
        print("\\t".join(map(str, row)) if isinstance(row, list) else row)
"""


class Azure:
    """A document of Azure's, and what a command told and sent."""

    def __init__(self, folder: Path, document: object) -> None:
        self._folder = folder
        (folder / "document").write_text(json.dumps(document))
        program = folder / "az"
        program.write_text(AZ.format(python=sys.executable))
        program.chmod(0o755)

    def run(self, command: str, args: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        argv = render_command(command, COMMANDS[command], args).argv
        return subprocess.run(
            argv, env={"PATH": f"{self._folder}:/usr/bin:/bin"}, capture_output=True, text=True
        )

    @property
    def sent(self) -> list[Any] | None:
        path = self._folder / "sent"
        return json.loads(path.read_text()) if path.exists() else None


def test_another_version_goes_back_with_all_that_the_deployment_is(tmp_path: Path) -> None:
    azure = Azure(tmp_path, OPENAI)
    assert azure.run("set-azure-openai-version", VERSION).returncode == 0
    wanted = deepcopy(OPENAI)
    wanted["properties"]["model"]["version"] = "2024-08-06"
    wanted["properties"]["versionUpgradeOption"] = "OnceCurrentVersionExpired"
    assert azure.sent == ["put", f"{DEPLOYMENT}?api-version=2026-03-01", wanted]


def test_shares_go_back_with_all_that_the_endpoint_is_and_a_third_one_keeps_its_own(
    tmp_path: Path,
) -> None:
    azure = Azure(tmp_path, ONLINE)
    assert azure.run("set-azure-ml-traffic", TRAFFIC).returncode == 0
    wanted = deepcopy(ONLINE)
    wanted["properties"]["traffic"] = {"green": 0, "blue": 70, "red": 30}
    assert azure.sent == ["put", f"{ENDPOINT}?api-version=2025-12-01", wanted]


def test_a_deployment_without_a_share_gets_its_first_one(tmp_path: Path) -> None:
    azure = Azure(tmp_path, {"properties": ONLINE["properties"] | {"traffic": {"green": 100}}})
    args = TRAFFIC | {"failing_seen": 100, "before_seen": 0, "before_share": 100}
    assert azure.run("set-azure-ml-traffic", args).returncode == 0
    assert azure.sent is not None
    assert azure.sent[2]["properties"]["traffic"] == {"green": 0, "blue": 100}


@pytest.mark.parametrize(
    ("command", "args", "document", "name"),
    [
        ("set-azure-openai-capacity", CAPACITY, OPENAI, "GlobalStandard"),
        ("set-azure-ml-instances", NUMBER, INSTANCES, "Default"),
    ],
)
def test_a_number_is_sent_alone_with_the_kind_that_is_there(
    command: str, args: dict[str, Any], document: object, name: str, tmp_path: Path
) -> None:
    azure = Azure(tmp_path, document)
    assert azure.run(command, args).returncode == 0
    assert azure.sent is not None
    method, _, body = azure.sent
    assert (method, body) == ("patch", {"sku": {"name": name, "capacity": args["wanted"]}})


@pytest.mark.parametrize(("command", "args", "document"), CHANGES)
def test_nothing_is_sent_while_another_change_is_under_way(
    command: str, args: dict[str, Any], document: dict[str, Any], tmp_path: Path
) -> None:
    properties = document["properties"] | {"provisioningState": "Updating"}
    azure = Azure(tmp_path, document | {"properties": properties})
    refused = azure.run(command, args)
    assert (refused.returncode, azure.sent) == (1, None)
    assert "nothing was changed" in refused.stderr


@pytest.mark.parametrize(("command", "args", "document"), CHANGES)
def test_nothing_is_sent_where_it_is_not_as_it_was_seen(
    command: str, args: dict[str, Any], document: dict[str, Any], tmp_path: Path
) -> None:
    azure = Azure(tmp_path, document)
    seen = "before_seen" if "before_seen" in args else "seen"
    other = args[seen] + (1 if isinstance(args[seen], int) else "x")
    refused = azure.run(command, args | {seen: other})
    assert (refused.returncode, azure.sent) == (1, None)


@pytest.mark.parametrize(("command", "args", "document"), CHANGES)
def test_without_an_answer_nothing_is_sent(
    command: str, args: dict[str, Any], document: object, tmp_path: Path
) -> None:
    azure = Azure(tmp_path, document)
    (tmp_path / "down").touch()
    assert (azure.run(command, args).returncode, azure.sent) == (3, None)


def test_what_is_as_wanted_already_may_be_sent_again(tmp_path: Path) -> None:
    azure = Azure(tmp_path, OPENAI)
    assert (
        azure.run("set-azure-openai-capacity", CAPACITY | {"seen": 200, "wanted": 120}).returncode
        == 0
    )
    assert azure.sent is not None


def test_settings_that_are_on_are_listed_and_so_is_a_next_page(tmp_path: Path) -> None:
    settings = [
        {"properties": {"enabled": True, "targetResourceUri": "/a"}},
        {"properties": {"enabled": False, "targetResourceUri": "/b"}},
    ]
    args = {"subscription": SUBSCRIPTION}
    azure = Azure(tmp_path, {"value": settings})
    assert azure.run("azure-autoscaled", args).stdout == "/a\n"
    azure = Azure(tmp_path, {"value": settings, "nextLink": "https://next"})
    assert azure.run("azure-autoscaled", args).stdout == "/a\nhttps://next\n"


def test_what_is_looked_at_comes_in_columns(tmp_path: Path) -> None:
    azure = Azure(tmp_path, OPENAI)
    assert azure.run("azure-openai-deployment", {"deployment": DEPLOYMENT}).stdout == (
        "Succeeded\tGlobalStandard\t120\tgpt-4o\t2024-11-20\tOnceNewDefaultVersionAvailable\n"
    )
    azure = Azure(tmp_path, ONLINE)
    args = {"online_endpoint": ENDPOINT, "failing": "green", "before": "white"}
    assert azure.run("azure-ml-traffic", args).stdout.startswith("Succeeded\t60\t0\t")
