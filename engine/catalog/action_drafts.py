"""A package with one action of its author's own: it works, and its test passes, unedited."""

from collections.abc import Mapping
from string import Template

from engine.ports.outside_action import API_VERSION, ENTRY_POINTS

_ACTION = '''\
"""`$name`: whether a target accepts connections."""

import asyncio
from collections.abc import Mapping

from engine.core.action_inputs import check_inputs
from engine.core.actions import (
    Call,
    Declaration,
    Effect,
    Estate,
    Input,
    Prepared,
    ProbeAnswer,
    Repeat,
    Result,
)
from engine.core.expressions import ValueType
from engine.core.json_value import Json, JsonObject
from engine.errors import PermanentError

DECLARATION = Declaration(
    name="$name",
    version=1,
    description="Opens a TCP connection to a target, and closes it.",
    inputs={
        "target": Input(ValueType.STRING, description="id of a target with a port", names="target"),
    },
    outputs={"ok": ValueType.BOOL, "problem": ValueType.STRING},
    effects=frozenset({Effect.READ}),
)


class $class_name:
    """One class is one action; an action with connections names their kind and their keys."""

    API_VERSION = $api_version
    CONNECTION_KIND = ""
    CONFIG = None

    def __init__(self, connections: Mapping[str, object]) -> None:
        self.connections = connections

    @property
    def declaration(self) -> Declaration:
        """What `quell check` knows of it."""
        return DECLARATION

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        """What will be done, exactly: it stands in the plan, and nothing is looked up later."""
        check_inputs(DECLARATION, inputs)
        name = str(inputs["target"])
        target = estate.targets.get(name)
        if target is None or not target.address or target.port is None:
            raise PermanentError(
                f"input 'target': {name!r} is no target with an address and a port"
            )
        return Prepared(
            effect=Effect.READ,
            repeat=Repeat.HARMLESS,
            connection="",
            targets=(name,),
            description=f"connect to {target.address}:{target.port}",
            payload={"address": target.address, "port": target.port},
        )

    async def look(self, call: Call) -> JsonObject:
        """For actions with Repeat.PROBE: what `probe` compares with."""
        return {}

    async def execute(self, call: Call) -> Result:
        """Do it, within `call.bound_s`."""
        payload = call.prepared.payload
        try:
            async with asyncio.timeout(call.bound_s):
                _, writer = await asyncio.open_connection(
                    str(payload["address"]), int(str(payload["port"]))
                )
        except (OSError, TimeoutError) as error:
            problem = str(error) or "no answer in time"
            return Result(True, {"ok": False, "problem": problem}, evidence=problem)
        writer.close()
        return Result(True, {"ok": True, "problem": ""}, evidence="it accepts connections")

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        """For actions with Repeat.PROBE: whether an attempt of unknown outcome was done."""
        return ProbeAnswer.CANNOT_TELL

    async def close(self) -> None:
        """Nothing stays open."""
'''
_TEST = '''\
"""`$name` keeps what quell asks of every action, against a real listener."""

from collections.abc import AsyncIterator

import asyncio

import pytest

from engine.core.actions import Estate
from engine.core.documents import TargetDocument
from engine.testing.action_contract import ActionBench, ActionContract
from $module import $class_name


class Test$class_name(ActionContract):
    """The suite; what only this action does is tested beside it."""

    @pytest.fixture
    async def bench(self) -> AsyncIterator[ActionBench]:
        """The action, and a listener on a free port."""
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        target = TargetDocument(kind="service", address="127.0.0.1", port=port)
        estate = Estate(commands={}, targets={"there": target}, connections={})
        yield ActionBench($class_name({}), {"target": "there"}, estate)
        server.close()

    async def test_a_closed_port_is_told(self, bench: ActionBench) -> None:
        target = TargetDocument(kind="service", address="127.0.0.1", port=1)
        closed = ActionBench(bench.action, bench.inputs, Estate({}, {"there": target}, {}))
        result = await closed.action.execute(closed.call())
        assert result.outputs["ok"] is False
        assert result.outputs["problem"]
'''
_PROJECT = """\
[project]
name = "$package"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["quell"]

[project.optional-dependencies]
test = ["pytest", "pytest-asyncio"]

[project.entry-points."$entry_points"]
"$name" = "$module:$class_name"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
only-include = ["$module.py"]

[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
"""


def action_package(name: str) -> Mapping[str, str]:
    """The package's files for an action like `lab.port_open`, by their names."""
    module = name.replace(".", "_")
    words = {
        "name": name,
        "module": module,
        "class_name": "".join(part.capitalize() for part in module.split("_")),
        "package": f"quell-{module.replace('_', '-')}",
        "api_version": str(API_VERSION),
        "entry_points": ENTRY_POINTS,
    }
    texts = {f"{module}.py": _ACTION, f"test_{module}.py": _TEST, "pyproject.toml": _PROJECT}
    return {file: Template(text).substitute(words) for file, text in texts.items()}
