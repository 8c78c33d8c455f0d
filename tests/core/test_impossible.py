import copy
from collections.abc import Mapping
from typing import Any

import pytest

from engine.core.documents import PlaybookDocument
from engine.core.impossible import check_possible
from engine.core.mistakes import Mistakes
from engine.core.playbook_checks import compile_playbook
from tests.doubles.playbooks import CONTEXT, PLAYBOOK, changed

INPUTS = {"host": "${{ host }}", "command": "restart-unit", "args": {"unit": "vllm"}}
RESTART = {"id": "one", "uses": "ssh.run", "with": INPUTS, "rollback": "none"}


def told(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    model, mistakes = PlaybookDocument.model_validate(document), Mistakes()
    playbook = compile_playbook(model, "0" * 64, CONTEXT, mistakes)
    assert playbook is not None, mistakes.found
    check_possible(model, playbook, CONTEXT, mistakes)
    return [("/".join(map(str, each.path)), each.message) for each in mistakes.found]


def with_steps(*steps: object, before: bool = False, **words: object) -> dict[str, Any]:
    """The playbook with more steps behind its own, or before them."""
    own = copy.deepcopy(PLAYBOOK["steps"])
    # Its own has an `if`, so that it may be left out.
    del own[0]["if"]
    return {**PLAYBOOK, "steps": [*steps, *own] if before else [*own, *steps], **words}


def loop(items: object, **words: object) -> dict[str, Any]:
    return {
        "id": "each",
        "foreach": {"in": items, "as": "host"},
        "steps": [{**RESTART, **words}],
    }


def guarded(group: str, share: object) -> dict[str, Any]:
    return changed("guards", {"blast_radius": {"group": group, "max_unavailable": share}})


WAIT = {"id": "settle", "wait": "50m"}
LOOK = {
    "id": "settled",
    "uses": "ssh.read",
    "with": {"host": "${{ params.host }}", "command": "gpu-state"},
    "until": "result.exit_code == 0",
    "within": "1m",
}
AGAIN = {"id": "again", "wait": "10m"}


@pytest.mark.parametrize(
    ("document", "place", "said"),
    [
        pytest.param(with_steps({**WAIT, "wait": "2h"}), "steps/1/wait", "1h is over", id="wait"),
        pytest.param(with_steps(WAIT, AGAIN), "steps/2/wait", "1h is over", id="waits together"),
        pytest.param(
            with_steps({"id": "each", "foreach": {"in": ["a"], "as": "x"}, "steps": [WAIT, AGAIN]}),
            "steps/1/steps/1/wait",
            "1h is over",
            id="waits of a loop",
        ),
        pytest.param(
            with_steps({**LOOK, "stable_for": "15m"}, WAIT),
            "steps/2/wait",
            "1h is over",
            id="a wait behind what has to be stable",
        ),
        pytest.param(
            changed("verify/0/stable_for", "1h"), "verify/0/stable_for", "never holds", id="stable"
        ),
        pytest.param(
            with_steps(WAIT, verify=[{**PLAYBOOK["verify"][0], "stable_for": "15m"}]),
            "verify/0/stable_for",
            "never holds",
            id="stable behind a wait",
        ),
        pytest.param(
            changed("steps/0/timeout", "61m"), "steps/0/timeout", "of 1h is", id="timeout"
        ),
        pytest.param(changed("verify/0/within", "61m"), "verify/0/within", "of 1h is", id="within"),
        pytest.param(
            with_steps({"id": "both", "parallel": [LOOK, {**LOOK, "id": "late", "timeout": "2h"}]}),
            "steps/1/parallel/1/timeout",
            "of 1h is",
            id="timeout of a branch",
        ),
        pytest.param(with_steps(loop([])), "steps/1/foreach/in", "is empty", id="empty list"),
        pytest.param(
            with_steps(loop(["gpu-07", "gpu-07"])), "steps/1/foreach/in", "twice", id="twice"
        ),
        pytest.param(
            with_steps(loop(["gpu-07", "gpu-08"])),
            "steps/1/foreach/in/1",
            "unknown target 'gpu-08', did you mean 'gpu-07'?",
            id="unknown target",
        ),
        pytest.param(
            guarded("llm", 1), "guards/blast_radius/group", "unknown service 'llm'", id="group"
        ),
        pytest.param(
            guarded("${{ target(params.host).service }}", "101%"),
            "guards/blast_radius/max_unavailable",
            "more than there are",
            id="share",
        ),
    ],
)
def test_what_no_run_can_do_is_told_where_it_stands(
    document: Mapping[str, Any], place: str, said: str
) -> None:
    ((found, message),) = told(document)
    assert found == place
    assert said in message


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(PLAYBOOK, id="nothing of the kind"),
        pytest.param(with_steps({**WAIT, "wait": "2h"}, deadline="3h"), id="a longer deadline"),
        pytest.param(
            with_steps({**WAIT, "wait": "2h"}, before=True), id="waits before the first attempt"
        ),
        pytest.param(
            with_steps(LOOK, {**WAIT, "wait": "2h"}, before=True), id="waits behind a look alone"
        ),
        pytest.param(
            with_steps({**WAIT, "wait": "2h", "if": "params.unit == 'a'"}), id="may be left out"
        ),
        pytest.param(changed("steps/0/timeout", "1h"), id="all the time there is"),
        pytest.param(
            with_steps({**LOOK, "timeout": "2h"}, before=True), id="a look before it begins"
        ),
        pytest.param(with_steps(loop(["gpu-07"])), id="a list of targets"),
        pytest.param(with_steps(loop("${{ [params.host] }}")), id="an expression gives the list"),
        pytest.param(with_steps(loop(["${{ params.host }}", "x"])), id="an item is an expression"),
        pytest.param(
            with_steps(loop(["a", "b"], **{"with": {**INPUTS, "host": "${{ params.host }}"}})),
            id="items are no targets",
        ),
        pytest.param(guarded("${{ target(params.host).service }}", "100%"), id="all of a group"),
    ],
)
def test_what_a_run_may_do_is_left_alone(document: Mapping[str, Any]) -> None:
    assert not told(document)
