"""A small playbook with its commands and inventory, to be broken in one place at a time."""

import copy
from collections.abc import Mapping
from typing import Any

from engine.core.documents import CommandsDocument, InventoryDocument, Parameter, PlaybookDocument
from engine.core.inventory import build_inventory
from engine.core.mistakes import Mistakes
from engine.core.parameters import TypedParameter
from engine.core.playbook import Playbook
from engine.core.playbook_checks import compile_playbook
from engine.core.steps import PlaybookContext
from tests.doubles.declarations import ACTIONS

UNIT = {"type": "string", "pattern": "^[a-z]+$"}
COMMANDS: Mapping[str, Any] = {
    "gpu-state": {"argv": ["nvidia-smi"], "effect": "read", "repeat": "harmless"},
    "restart-unit": {
        "argv": ["systemctl", "restart", "${{ args.unit }}"],
        "args": {"unit": UNIT},
        "effect": "change",
        "repeat": "probe",
        "probe": {
            "argv": ["systemctl", "show", "${{ args.unit }}"],
            "done": "result.stdout != before.stdout",
        },
    },
}
CONTEXT = PlaybookContext(
    ACTIONS,
    CommandsDocument.model_validate({"language": 1, "commands": COMMANDS}).commands,
    build_inventory(
        InventoryDocument.model_validate(
            {
                "language": 1,
                "targets": {"gpu-07": {"kind": "host"}},
                "connections": {
                    "prom-a": {"uses": "prometheus"},
                    "prom-b": {"uses": "prometheus"},
                    "ssh-fra": {"uses": "ssh"},
                },
            }
        ),
        Mistakes(),
    ),
    frozenset({"oncall"}),
    {
        "failover": {
            "host": TypedParameter(Parameter(type="target", kind="host")),
            "why": TypedParameter(Parameter(type="string"), "it failed"),
        },
        "broken": None,
    },
)
PLAYBOOK: Mapping[str, Any] = {
    "language": 1,
    "id": "restart",
    "description": "Restart it",
    "max_mode": "auto",
    "parameters": {
        "host": {"type": "target", "kind": "host"},
        "unit": {"type": "string", "default": "vllm", "pattern": "^[a-z]+$"},
        "model": {"type": "string", "default": "${{ alert.labels.model }}"},
    },
    "investigate": [
        {
            "id": "gpu",
            "uses": "ssh.read",
            "with": {"host": "${{ params.host }}", "command": "gpu-state"},
            "required": False,
        }
    ],
    "steps": [
        {
            "id": "restart",
            "uses": "ssh.run",
            "with": {
                "host": "${{ params.host }}",
                "command": "restart-unit",
                "args": {"unit": "${{ params.unit }}"},
            },
            "timeout": "10m",
            "if": 'steps.gpu.outcome == "succeeded"',
            "rollback": "none",
        }
    ],
    "verify": [
        {
            "id": "serves",
            "uses": "llm.complete",
            "with": {"target": "${{ params.host }}", "model": "${{ params.model }}"},
            "until": "result.ok && result.latency_s < 5",
            "within": "5m",
        }
    ],
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The playbook with one value set; `...` removes it."""
    document = copy.deepcopy(dict(PLAYBOOK))
    *way, last = path.split("/")
    at: Any = document
    for part in way:
        at = at[int(part)] if part.isdecimal() else at.setdefault(part, {})
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return document


def compiled(document: Mapping[str, Any]) -> tuple[Playbook | None, list[tuple[str, int, str]]]:
    mistakes = Mistakes()
    model = PlaybookDocument.model_validate(document)
    playbook = compile_playbook(model, "0" * 64, CONTEXT, mistakes)
    return playbook, [("/".join(map(str, m.path)), m.column, m.message) for m in mistakes.found]


def assert_told(document: Mapping[str, Any], path: str, column: int, message: str) -> None:
    """That a document has one mistake, which is told there and in these words."""
    playbook, told = compiled(document)
    assert playbook is None
    (found,) = told
    assert found[:2] == (path, column)
    assert message in found[2]
