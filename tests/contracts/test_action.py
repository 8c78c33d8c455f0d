"""What every action keeps: the suite of the Action port, over each one and a real system."""

import copy
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr

from connectors.actions.http import HttpRequest
from connectors.actions.ssh import SshConfig, ssh_actions
from connectors.probes.llm import LlmComplete, LlmConfig
from connectors.probes.prometheus import PrometheusConfig, PrometheusQuery
from engine.core.action_inputs import fits
from engine.core.actions import Call, Effect, Estate, Prepared, ProbeAnswer
from engine.core.documents import CommandDocument, TargetDocument
from engine.core.egress import EgressConfig
from engine.core.expressions import ValueType
from engine.core.json_value import Json, canonical_bytes
from engine.errors import PermanentError, QuellError, TransientError
from engine.ports.action import Action
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
WRONG: Mapping[str, Json] = {"string": 7, "int": "7", "bool": "yes", "map": "a", "double": "1"}


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


class Bench:
    """One action with the inputs of its case."""

    def __init__(self, case: Case, systems: Systems) -> None:
        self.action = case.make(systems)
        self.inputs = dict(case.inputs(systems))
        self.estate = systems.estate
        self.connection = case.connection

    def prepare(self, inputs: Mapping[str, Json] | None = None) -> Prepared:
        given = self.inputs if inputs is None else inputs
        return self.action.prepare(given, self.estate, self.connection)

    def call(self, timeout_s: float = 20.0) -> Call:
        """As a worker makes it: from the plan's stored bytes."""
        prepared = self.prepare()
        stored = json.loads(canonical_bytes(prepared.payload))
        return Call(replace(prepared, payload=stored), "attempt-1", timeout_s)


@pytest.fixture(params=CASES)
async def bench(request: pytest.FixtureRequest, systems: Systems) -> AsyncIterator[Bench]:
    bench = Bench(CASES[request.param], systems)
    assert bench.action.declaration.name == request.param
    yield bench
    await bench.action.close()


def test_it_declares_itself_for_people_and_for_the_catalog(bench: Bench) -> None:
    declaration = bench.action.declaration
    assert declaration == bench.action.declaration
    assert declaration.version >= 1
    assert declaration.description.endswith(".")
    assert declaration.effects
    assert set(bench.inputs) == set(declaration.inputs)  # the case leaves none untried


def test_preparing_is_pure(bench: Bench) -> None:
    inputs, estate = copy.deepcopy(bench.inputs), copy.deepcopy(bench.estate)
    first, second = bench.prepare(), bench.prepare()
    assert first == second
    assert (bench.inputs, bench.estate) == (inputs, estate)


def test_what_is_prepared_stands_in_a_plan(bench: Bench) -> None:
    prepared = bench.prepare()
    assert json.loads(canonical_bytes(prepared.payload)) == prepared.payload
    assert prepared.effect in bench.action.declaration.effects
    assert set(prepared.targets) <= set(bench.estate.targets)
    assert prepared.connection in {*bench.estate.connections, ""}
    assert prepared.description.isprintable()
    assert prepared.description
    assert SECRET.get_secret_value() not in repr(prepared)


def test_a_missing_input_is_named(bench: Bench) -> None:
    required = [n for n, each in bench.action.declaration.inputs.items() if each.required]
    assert required
    for name in required:
        inputs = {word: value for word, value in bench.inputs.items() if word != name}
        with pytest.raises(PermanentError, match=repr(name)):
            bench.prepare(inputs)


def test_an_unknown_input_is_named(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="'tiemout'"):
        bench.prepare({**bench.inputs, "tiemout": 1})


def test_an_input_of_a_wrong_type_is_named(bench: Bench) -> None:
    for name, declared in bench.action.declaration.inputs.items():
        if declared.type != ValueType.DYN:
            with pytest.raises(PermanentError, match=repr(name)):
                bench.prepare({**bench.inputs, name: WRONG[declared.type.kind]})


async def test_it_gives_the_outputs_that_it_declares(bench: Bench) -> None:
    result = await bench.action.execute(bench.call())
    assert result.succeeded, result.error
    declared = bench.action.declaration.outputs
    assert set(result.outputs) == set(declared)
    for name, value in result.outputs.items():
        assert value is None or fits(declared[name], value), name
    assert canonical_bytes(result.outputs)
    assert result.evidence
    assert SECRET.get_secret_value() not in repr(result)


async def test_a_look_is_journaled_and_compared_with(bench: Bench) -> None:
    call = bench.call()
    before = json.loads(canonical_bytes(await bench.action.look(call)))
    answer = await bench.action.probe(call, before)
    if call.prepared.repeat.value == "probe":
        assert before
        assert answer is not ProbeAnswer.CANNOT_TELL
    else:
        assert (before, answer) == ({}, ProbeAnswer.CANNOT_TELL)


async def test_with_no_time_at_all_nothing_unknown_is_left(bench: Bench) -> None:
    try:
        result = await bench.action.execute(bench.call(timeout_s=0.001))
    except QuellError as error:
        assert isinstance(error, TransientError)
    else:
        assert bench.prepare().effect is Effect.READ
        assert result.outputs.get("ok") is not True


async def test_closing_twice_is_fine(bench: Bench) -> None:
    await bench.action.execute(bench.call())
    await bench.action.close()
    await bench.action.close()


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
