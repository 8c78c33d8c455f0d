"""What every action keeps, as tests for its author: subclass ActionContract and give a bench.

Each test has a bench of its own. The action reaches a real system, or one that the author plays.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from engine.core.action_inputs import fits
from engine.core.actions import Call, Effect, Estate, Prepared, ProbeAnswer
from engine.core.expressions import ValueType
from engine.core.json_value import Json, canonical_bytes
from engine.errors import PermanentError, QuellError, TransientError
from engine.ports.action import Action

WRONG: Mapping[str, Json] = {"string": 7, "int": "7", "bool": "yes", "map": "a", "double": "1"}


@dataclass(frozen=True)
class ActionBench:
    """An action with inputs that succeed, each that it declares. `secrets` may be told nowhere."""

    action: Action
    inputs: Mapping[str, Json]
    estate: Estate
    connection: str | None = None
    secrets: tuple[str, ...] = ()

    def prepare(self, inputs: Mapping[str, Json] | None = None) -> Prepared:
        """What follows from the inputs."""
        given = self.inputs if inputs is None else inputs
        return self.action.prepare(given, self.estate, self.connection)

    def call(self, timeout_s: float = 20.0) -> Call:
        """As a worker makes it: from the plan's stored bytes."""
        prepared = self.prepare()
        stored = json.loads(canonical_bytes(prepared.payload))
        return Call(replace(prepared, payload=stored), "attempt-1", timeout_s)

    def tells_secret(self, value: object) -> bool:
        """Whether a secret can be read in it."""
        return any(secret in repr(value) for secret in self.secrets)


class ActionContract:
    """The suite; a subclass has a fixture `bench` that yields an ActionBench."""

    def test_it_declares_itself_for_people_and_for_the_catalog(self, bench: ActionBench) -> None:
        """Its declaration is constant and complete, and the bench leaves no input untried."""
        declaration = bench.action.declaration
        assert declaration == bench.action.declaration
        assert declaration.version >= 1
        assert declaration.description.endswith(".")
        assert declaration.effects
        assert set(bench.inputs) == set(declaration.inputs)  # the case leaves none untried

    def test_preparing_is_pure(self, bench: ActionBench) -> None:
        """The same inputs give the same, and stay as they are."""
        inputs, estate = copy.deepcopy(bench.inputs), copy.deepcopy(bench.estate)
        first, second = bench.prepare(), bench.prepare()
        assert first == second
        assert (bench.inputs, bench.estate) == (inputs, estate)

    def test_what_is_prepared_stands_in_a_plan(self, bench: ActionBench) -> None:
        """It is JSON, names only what the estate has, and holds no secret."""
        prepared = bench.prepare()
        assert json.loads(canonical_bytes(prepared.payload)) == prepared.payload
        assert prepared.effect in bench.action.declaration.effects
        assert set(prepared.targets) <= set(bench.estate.targets)
        assert prepared.connection in {*bench.estate.connections, ""}
        assert prepared.description.isprintable()
        assert prepared.description
        assert not bench.tells_secret(prepared)

    def test_a_missing_input_is_named(self, bench: ActionBench) -> None:
        """PermanentError names what is needed."""
        required = [n for n, each in bench.action.declaration.inputs.items() if each.required]
        assert required
        for name in required:
            inputs = {word: value for word, value in bench.inputs.items() if word != name}
            with pytest.raises(PermanentError, match=repr(name)):
                bench.prepare(inputs)

    def test_an_unknown_input_is_named(self, bench: ActionBench) -> None:
        """PermanentError names what it does not know."""
        with pytest.raises(PermanentError, match="'tiemout'"):
            bench.prepare({**bench.inputs, "tiemout": 1})

    def test_an_input_of_a_wrong_type_is_named(self, bench: ActionBench) -> None:
        """PermanentError names what does not fit."""
        for name, declared in bench.action.declaration.inputs.items():
            if declared.type != ValueType.DYN:
                with pytest.raises(PermanentError, match=repr(name)):
                    bench.prepare({**bench.inputs, name: WRONG[declared.type.kind]})

    async def test_it_gives_the_outputs_that_it_declares(self, bench: ActionBench) -> None:
        """All of them, of their types, with evidence for people."""
        result = await bench.action.execute(bench.call())
        assert result.succeeded, result.error
        declared = bench.action.declaration.outputs
        assert set(result.outputs) == set(declared)
        for name, value in result.outputs.items():
            assert value is None or fits(declared[name], value), name
        assert canonical_bytes(result.outputs)
        assert result.evidence
        assert not bench.tells_secret(result)

    async def test_a_look_is_journaled_and_compared_with(self, bench: ActionBench) -> None:
        """An action that can be probed looks before, and others do not."""
        call = bench.call()
        before = json.loads(canonical_bytes(await bench.action.look(call)))
        answer = await bench.action.probe(call, before)
        if call.prepared.repeat.value == "probe":
            assert before
            assert answer is not ProbeAnswer.CANNOT_TELL
        else:
            assert (before, answer) == ({}, ProbeAnswer.CANNOT_TELL)

    async def test_with_no_time_at_all_nothing_unknown_is_left(self, bench: ActionBench) -> None:
        """What could not begin says so."""
        try:
            result = await bench.action.execute(bench.call(timeout_s=1e-6))
        except QuellError as error:
            assert isinstance(error, TransientError)
        else:
            assert bench.prepare().effect is Effect.READ
            assert result.outputs.get("ok") is not True

    async def test_closing_twice_is_fine(self, bench: ActionBench) -> None:
        """Whoever closes need not know who closed before."""
        await bench.action.execute(bench.call())
        await bench.action.close()
        await bench.action.close()
