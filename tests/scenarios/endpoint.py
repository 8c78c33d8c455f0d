"""A model server that serves, dies and is restarted: a unit on the host, scraped by Prometheus."""

from dataclasses import dataclass

from tests.services.model_server import model_server_argv
from tests.services.process import free_port, listens, program, run, wait_until
from tests.services.prometheus import ScrapeTarget
from tests.services.ssh_host import SshHost, Unit

MODEL = "llama"
# What the inventory calls the host, and what Prometheus calls the endpoint.
TARGET = "gpu-07"
INSTANCE = "gpu-07:9100"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Its unit is what quell restarts; the host's own record tells what was done there.

    `commands_before` is how many commands the host had seen when this endpoint was added.
    """

    host: SshHost
    unit: Unit
    port: int
    commands_before: int

    @property
    def scraped(self) -> ScrapeTarget:
        return ScrapeTarget("model", f"127.0.0.1:{self.port}", {"instance": INSTANCE})

    @property
    def alerting_rules(self) -> str:
        """Prometheus's own rules file."""
        return f"""
groups:
  - name: endpoints
    rules:
      - alert: LLMEndpointDown
        expr: up{{job="model"}} == 0
        labels:
          service: llm-70b
          severity: critical
          model: {MODEL}
          unit: {self.unit.name}
        annotations: {{summary: "{MODEL} on {{{{ $labels.instance }}}} is not scraped"}}
"""

    def inventory(self, prometheus_url: str, environment: str) -> dict[str, object]:
        """inventory.yaml: how to reach the host, to whom it belongs, where to ask."""
        host = {
            "kind": "host",
            "address": self.host.address,
            "port": self.host.port,
            "url": f"http://127.0.0.1:{self.port}",
            "connection": "ssh-lab",
            "service": "llm-70b",
            "aliases": [INSTANCE],
        }
        ssh = {
            "uses": "ssh",
            "user": self.host.user,
            "client_key": str(self.host.client_key),
            "known_hosts": str(self.host.known_hosts),
        }
        prometheus = {"uses": "prometheus", "url": prometheus_url}
        return {
            "language": 1,
            "targets": {TARGET: host},
            "services": {"llm-70b": {"environment": environment, "team": "inference"}},
            "connections": {"ssh-lab": ssh, "prometheus": prometheus},
        }

    def die(self) -> None:
        """Let the model server end; by itself it doesn't come back."""
        self.unit.kill()
        wait_until(lambda: not listens(self.port), "the model server is gone")

    def start_by_hand(self) -> None:
        """Do what a colleague does who knows nothing of quell: log in and start the unit."""
        options = (
            f"UserKnownHostsFile={self.host.known_hosts}",
            f"IdentityFile={self.host.client_key}",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
        )
        run(
            [
                *(program("ssh"), "-F", "none", "-p", str(self.host.port)),
                *(word for option in options for word in ("-o", option)),
                f"{self.host.user}@{self.host.address}",
                f"systemctl start {self.unit.name}",
            ]
        )

    def starts(self) -> int:
        """How often the model server started, as it counted itself."""
        return self.unit.starts()

    def commands(self) -> list[str]:
        """What arrived at the host since this endpoint is there, in order."""
        return [each.command for each in self.host.commands()[self.commands_before :]]


def add_endpoint(host: SshHost) -> Endpoint:
    """A model server that answers, as a unit with a name of its own."""
    commands_before, port = len(host.commands()), free_port()
    name = f"model-{port}"
    unit = host.add_unit(name, model_server_argv(port, MODEL, host.starts_file(name)))
    wait_until(lambda: listens(port), "the model server listens")
    return Endpoint(host, unit, port, commands_before)
