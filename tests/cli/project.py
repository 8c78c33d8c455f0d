"""A folder as a person has it who tries quell: rules, playbooks, an inventory, and an engine."""

import json
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.cli.server_file import running_engine
from engine.client.http import QuellClient
from tests.services.process import Process, wait_until

PROGRAM = Path(sys.executable).with_name("quell")

RULES = """\
language: 1
rules:
  - id: endpoint-down
    description: The endpoint of a model fails its probe
    matchers: ['alertname="LLMEndpointDown"']
    severity: P1
    group_by: [service]
    mode: approve
    playbook: restart-llm
    with: {host: '${{ alert.target }}'}
"""
RESTART = """\
language: 1
id: restart-llm
description: Restart the unit and prove that it answers
parameters:
  host: {type: target, kind: host}
approval: {from: [role:oncall], quorum: 1, expires: 10m}
steps:
  - id: restart
    uses: ssh.run
    with: {host: '${{ params.host }}', command: restart-unit, args: {unit: vllm}}
    timeout: 2m
    rollback: none
verify:
  - id: answers
    uses: http.request
    with: {method: GET, url: 'http://127.0.0.1:9/healthz'}
    until: result.status == 200
    within: 1m
"""
INVENTORY = """\
language: 1
targets:
  gpu-07: {kind: host, address: 127.0.0.1, connection: ssh-lab, service: llm-70b, aliases: [gpu-7]}
services: {llm-70b: {environment: staging, team: inference}}
connections: {ssh-lab: {uses: ssh, user: quell, known_hosts: known_hosts, client_key: key, port: 9}}
"""
SETTINGS = """\
rules_dir: rules
playbooks_dir: playbooks
inventory: inventory.yaml
people: {roles: {oncall: ['slack:T1/U1']}}
egress: {allow: ['127.0.0.1:9']}
sla: {}
"""
SUMMARY = "The OpenAI-compatible endpoint of llm-70b does not answer any more since five minutes"


@dataclass(frozen=True)
class Project:
    """The folder; `data` is where its engine keeps everything."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def config(self) -> Path:
        return self.folder / "quell.yaml"

    def write(self) -> None:
        for name, text in {
            "rules/llm.yaml": RULES,
            "playbooks/restart-llm.yaml": RESTART,
            "inventory.yaml": INVENTORY,
            "quell.yaml": SETTINGS,
            "known_hosts": "",
            "key": "",
        }.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def engine(self, *words: str) -> Process:
        """`quell up` on this folder; not started yet."""
        argv: list[str | Path] = [
            PROGRAM,
            "up",
            "--config",
            self.config,
            "--data",
            self.data,
            "--listen",
            "127.0.0.1:0",
        ]
        return Process([*argv, *words], log=self.folder / "engine.log")

    def is_up(self) -> bool:
        return running_engine(self.data) is not None

    @property
    def url(self) -> str:
        """Where the engine that runs here listens."""
        running = running_engine(self.data)
        assert running is not None
        return running.url

    def client(self) -> QuellClient:
        running = running_engine(self.data)
        assert running is not None
        return QuellClient(running.url, running.token)

    def fire(self, **labels: str) -> None:
        """Post one alert as an Alertmanager does."""
        alert = {
            "status": "firing",
            "labels": labels,
            "annotations": {"summary": SUMMARY},
            "startsAt": "2026-03-01T12:00:00Z",
        }
        body = {"version": "4", "status": "firing", "alerts": [alert]}
        request = urllib.request.Request(
            f"{self.url}/v1/alerts/alertmanager", json.dumps(body).encode()
        )
        urllib.request.urlopen(request, timeout=10).close()

    def wait_for(self, phases: Sequence[str]) -> None:
        """Until the incidents, newest first, are in these phases."""
        with self.client() as client:

            def phases_now() -> list[str]:
                return [each.phase for each in client.incidents().incidents]

            wait_until(lambda: phases_now() == list(phases), f"phases {phases}", 20)

    def wait_for_balance(self, dispositions: dict[str, int]) -> None:
        """Until every record has become one of these."""
        with self.client() as client:
            wait_until(lambda: client.balance().dispositions == dispositions, str(dispositions), 20)

    def open_two_incidents(self) -> None:
        """INC-1 waits for an approval, INC-2 is what no rule took."""
        self.fire(alertname="LLMEndpointDown", service="llm-70b", instance="gpu-7")
        self.wait_for(["awaiting_approval"])
        self.fire(alertname="DoorOpen", service="gateway-of-the-data-centre-frankfurt")
        self.wait_for(["idle", "awaiting_approval"])
