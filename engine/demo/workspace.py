"""What a person writes to put a service under quell's care, written for the demo's host.

The rule and the playbook are the shipped ones; what the demo changes of them stands here alone.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.catalog import shipped_folder
from engine.demo.hosting import ADDRESS, USER, Place
from engine.errors import ConfigError
from engine.settings import LoadedSettings, load_settings

ACTOR = "demo"
TARGET, SERVICE = "demo-host", "demo-llm"
PLAYBOOK = "restart-vllm"

# In production half a minute of good answers is the proof; somebody who watches has less patience.
SHIPPED_PATIENCE = "    stable_for: 30s\n"
DEMO_PATIENCE = "    every: 1s\n    stable_for: 2s\n"

SETTINGS = f"""\
# What a person writes to run quell; this one was written by `quell demo`.
listen: 127.0.0.1:0
data: data
inventory: inventory.yaml
playbooks_dir: playbooks
rules:
  vllm-not-answering: {{mode: approve}}
people:
  roles: {{oncall: [{ACTOR}]}}
"""

INVENTORY = """\
# What exists. A label of an alert is never an address: it only finds an entry of this file.
language: 1
targets:
  {target}:
    kind: host
    address: {address}
    url: http://{instance}
    connection: demo-ssh
    service: {service}
    aliases: ['{instance}']
services:
  {service}: {{environment: production, team: inference}}
connections:
  demo-ssh:
    uses: ssh
    user: {user}
    port: {ssh_port}
    known_hosts: {host_folder}/known_hosts
    client_key: {host_folder}/client_key
"""


def write_workspace(folder: Path, place: Place) -> LoadedSettings:
    """Write quell.yaml, inventory.yaml and the playbook into `folder`, and load them."""
    (folder / "quell.yaml").write_text(SETTINGS)
    (folder / "inventory.yaml").write_text(
        INVENTORY.format(
            target=TARGET,
            service=SERVICE,
            address=ADDRESS,
            instance=place.instance,
            user=USER,
            ssh_port=place.ready.ssh_port,
            host_folder=place.folder.relative_to(folder),
        )
    )
    (folder / "playbooks").mkdir()
    (folder / "playbooks" / f"{PLAYBOOK}.yaml").write_text(_impatient_playbook())
    return load_settings(
        folder / "quell.yaml",
        # What the environment says of a team's database, stream, chat or tracker counts for its
        # quell; a demo must not reach them.
        {
            "listen": "127.0.0.1:0",
            "data": folder / "data",
            "inventory": folder / "inventory.yaml",
            "playbooks_dir": folder / "playbooks",
            "store": {"url": None},
            "stream": {"uses": "embedded"},
            "people": {"slack": None},
            "records": {"jira": None, "postmortems": None},
        },
    )


def _impatient_playbook() -> str:
    path = shipped_folder() / "playbooks" / f"{PLAYBOOK}.yaml"
    text = path.read_text()
    if text.count(SHIPPED_PATIENCE) != 1:
        raise ConfigError(f"{path} has no {SHIPPED_PATIENCE.strip()!r} that the demo could shorten")
    return text.replace(SHIPPED_PATIENCE, DEMO_PATIENCE)


def notification(
    place: Place,
    model: str,
    starts_at: datetime,
    ends_at: datetime | None = None,
) -> dict[str, JsonValue]:
    """The body that an Alertmanager posts: its webhook, version 4. With `ends_at` it resolves.

    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    status: Literal["firing", "resolved"] = "firing" if ends_at is None else "resolved"
    labels = {
        "alertname": "LLMEndpointDown",
        "instance": place.instance,
        "model": model,
        "service": SERVICE,
        "severity": "critical",
    }
    annotations = {"summary": f"{model} on {SERVICE} does not answer"}
    return {
        "version": "4",
        "groupKey": '{}:{alertname="LLMEndpointDown"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "quell",
        "groupLabels": {"alertname": "LLMEndpointDown"},
        "commonLabels": {**labels},
        "commonAnnotations": {**annotations},
        "externalURL": "http://alertmanager.example:9093",
        "alerts": [
            {
                "status": status,
                "labels": {**labels},
                "annotations": {**annotations},
                "startsAt": starts_at.isoformat(),
                "endsAt": ends_at.isoformat() if ends_at else "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus.example:9090/graph",
                "fingerprint": fingerprint(labels),
            }
        ],
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Prometheus's own fingerprint of a set of labels: FNV-1a with 64 bits.

    https://pkg.go.dev/github.com/prometheus/common/model#LabelSet.Fingerprint
    """
    found = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            found = ((found ^ byte) * 0x100000001B3) % 2**64
    return f"{found:016x}"
