"""What every action keeps: the suite of the Action port, over each one and a real system."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from connectors.actions.http import HttpRequest
from connectors.actions.ssh import SshConfig, ssh_actions
from connectors.probes.llm import LlmComplete, LlmConfig
from connectors.probes.prometheus import PrometheusConfig, PrometheusQuery
from engine.core.actions import Estate
from engine.core.documents import CommandDocument, TargetDocument
from engine.core.egress import EgressConfig
from engine.core.json_value import Json
from engine.ports.action import Action
from engine.testing.action_contract import ActionBench, ActionContract
from tests.services.model_server import model_server_argv
from tests.services.process import Process, free_port, listens
from tests.services.prometheus import running_prometheus
from tests.services.ssh_host import SshHost

SECRET = SecretStr("s3cret-canary")
COMMANDS = {
    "free": CommandDocument(argv=("df", "/"), effect="read", repeat="harmless"),
    "touch": CommandDocument.model_validate(
        {
            "argv": ["true", "${{ args.name }}"],
            "args": {"name": {"type": "string"}},
            "effect": "change",
            "repeat": "probe",
            "probe": {"argv": ["date", "+%N"], "done": "result.stdout != before.stdout"},
        }
    ),
}


@dataclass(frozen=True)
class Systems:
    """What the actions reach."""

    host: SshHost
    model_url: str
    prometheus_url: str

    @property
    def estate(self) -> Estate:
        targets = {
            "gpu-07": TargetDocument(
                kind="host", address=self.host.address, port=self.host.port, connection="ssh-fra"
            ),
            "model": TargetDocument(kind="endpoint", url=self.model_url),
        }
        connections = {"ssh-fra": "ssh", "prom": "prometheus", "vendor": "llm"}
        return Estate(COMMANDS, targets, connections)

    @property
    def ssh(self) -> Mapping[str, SshConfig]:
        host = self.host
        config = SshConfig(user=host.user, known_hosts=host.known_hosts, client_key=host.client_key)
        return {"ssh-fra": config}


@dataclass(frozen=True)
class Case:
    """An action, and inputs with which it works."""

    make: Callable[[Systems], Action]
    inputs: Callable[[Systems], Mapping[str, Json]]
    connection: str | None = None


CASES = {
    "ssh.read": Case(
        lambda systems: ssh_actions(systems.ssh)[0],
        lambda _: {"host": "gpu-07", "command": "free", "args": {}},
    ),
    "ssh.run": Case(
        lambda systems: ssh_actions(systems.ssh)[1],
        lambda _: {"host": "gpu-07", "command": "touch", "args": {"name": "a b"}},
        "ssh-fra",
    ),
    "prometheus.query": Case(
        lambda systems: PrometheusQuery(
            {"prom": PrometheusConfig(url=systems.prometheus_url, token=SECRET)}
        ),
        lambda _: {"query": "vector(1)"},
    ),
    "llm.complete": Case(
        lambda _: LlmComplete({"vendor": LlmConfig(api_key=SECRET)}),
        lambda _: {"target": "model", "model": "llama", "prompt": "Hi", "max_tokens": 3},
        "vendor",
    ),
    "http.request": Case(
        lambda _: HttpRequest(EgressConfig(allow=("127.0.0.1",))),
        lambda systems: {
            "method": "POST",
            "url": f"{systems.model_url}/v1/completions",
            "headers": {"X-Team": "inference"},
            "body": {"model": "llama"},
            "idempotency_key": True,
        },
    ),
}


@pytest.fixture(scope="module")
def systems(ssh_host: SshHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    folder, port = tmp_path_factory.mktemp("systems"), free_port()
    model_server = Process(model_server_argv(port, "llama"), log=folder / "model.log")
    model_server.start(lambda: listens(port))
    with running_prometheus(folder, []) as prometheus:
        yield Systems(ssh_host, f"http://127.0.0.1:{port}", prometheus.url)
    model_server.stop()


@pytest.fixture(params=CASES)
async def bench(request: pytest.FixtureRequest, systems: Systems) -> AsyncIterator[ActionBench]:
    case = CASES[request.param]
    bench = ActionBench(
        case.make(systems),
        case.inputs(systems),
        systems.estate,
        case.connection,
        (SECRET.get_secret_value(),),
    )
    assert bench.action.declaration.name == request.param
    yield bench
    await bench.action.close()


class TestActions(ActionContract):
    """The suite of outside authors, over our own."""


def test_constructing_all_of_them_loads_no_sdk() -> None:
    script = """
import sys
from connectors.actions.http import HttpRequest
from connectors.actions.ssh import ssh_actions
from connectors.probes.llm import LlmComplete
from connectors.probes.prometheus import PrometheusQuery
from engine.core.egress import EgressConfig
ssh_actions({}), PrometheusQuery({}), LlmComplete({}), HttpRequest(EgressConfig())
print({"asyncssh", "openai", "prometheus_api_client", "requests", "httpx"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()"
