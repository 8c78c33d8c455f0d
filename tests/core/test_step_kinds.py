import pytest

from tests.doubles.playbooks import changed, compiled

RUN = {"uses": "ssh.run"}


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        pytest.param({}, "", "says what it does by one of `uses`", id="nothing"),
        pytest.param({**RUN, "wait": "5s"}, "", "it has `uses`", id="two"),
        pytest.param({"wait": "soon"}, "/wait", "isn't a duration", id="no duration"),
        pytest.param({"wait": "5s", "timeout": "1m"}, "/timeout", "lets time pass", id="timeout"),
        pytest.param({"wait": "5s", "if": "steps.x.ok"}, "/if", "isn't known here", id="if"),
    ],
)
def test_a_step_does_one_thing_and_has_the_words_for_it(
    step: dict[str, object], path: str, message: str
) -> None:
    playbook, told = compiled(changed("steps", [{"id": "first", **step}]))
    assert playbook is None
    (found,) = told
    assert found[0] == f"steps/0{path}"
    assert message in found[2]


@pytest.mark.parametrize("part", ["investigate", "verify"])
def test_only_what_changes_something_waits(part: str) -> None:
    _, told = compiled(changed(part, [{"id": "first", "wait": "5s"}]))
    places = {path: message for path, _, message in told}
    assert f"not to `{part}`" in places[f"{part}/0/wait"]


def test_a_wait_has_its_time_and_its_condition() -> None:
    step = {"id": "settle", "wait": "1m30s", "if": 'steps.gpu.outcome == "failed"'}
    playbook, told = compiled(changed("steps", [step]))
    assert not told
    assert playbook is not None
    (settle,) = playbook.steps
    assert settle.wait.total_seconds() == 90
    assert settle.condition is not None
    assert settle not in playbook.calls


LOOK = {
    "id": "settled",
    "uses": "ssh.read",
    "with": {"host": "${{ params.host }}", "command": "gpu-state"},
}
UNTIL = {"until": "result.exit_code == 0"}


def test_a_read_between_changes_may_wait_until_it_holds() -> None:
    times = {"within": "2m", "every": "10s", "stable_for": "30s"}
    playbook, told = compiled(changed("steps", [{**LOOK, **UNTIL, **times}]))
    assert not told
    assert playbook is not None
    (step,) = playbook.steps
    assert step.until is not None
    spans = (step.within, step.every, step.stable_for, step.timeout)
    assert [span.total_seconds() for span in spans] == [120, 10, 30, 30]


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        pytest.param({**LOOK, **UNTIL}, "", "needs `within`: it waits until", id="how long"),
        pytest.param({**LOOK, "within": "2m"}, "", "needs `until`: it waits until", id="what"),
        pytest.param({**LOOK, "every": "2s"}, "", "needs `until`", id="how often"),
        pytest.param(
            {
                **LOOK,
                **UNTIL,
                "within": "1m",
                "uses": "ssh.run",
                "with": {"host": "${{ params.host }}", "command": "restart-unit", "args": {}},
                "rollback": "none",
            },
            "/until",
            "ssh.run changes something; let a step behind it look",
            id="a change",
        ),
    ],
)
def test_what_waits_says_for_what_and_how_long_and_only_reads(
    step: dict[str, object], path: str, message: str
) -> None:
    _, told = compiled(changed("steps", [step]))
    places = [found for found in told if found[0] == f"steps/0{path}"]
    assert any(message in found for _, _, found in places), told


def test_evidence_is_looked_at_once() -> None:
    _, told = compiled(changed("investigate", [{**LOOK, **UNTIL, "within": "1m"}]))
    places = {path: message for path, _, message in told}
    assert "not to `investigate`" in places["investigate/0/until"]


@pytest.mark.parametrize("path", ["on_cancel", "steps/0/rollback"])
def test_what_undoes_may_wait_as_well(path: str) -> None:
    playbook, told = compiled(changed(path, [{**LOOK, **UNTIL, "within": "1m"}]))
    assert not told
    assert playbook is not None
    _, told = compiled(changed(path, [{**LOOK, **UNTIL}]))
    assert ["needs `within`" in message for _, _, message in told] == [True]


def test_what_may_read_or_change_only_reads_where_it_waits() -> None:
    step = {
        "id": "settled",
        "uses": "http.request",
        "with": {"method": "${{ params.unit }}", "url": "https://llm.example/health"},
        "until": "result.ok",
        "within": "1m",
    }
    playbook, told = compiled(changed("steps", [step]))
    assert not told
    assert playbook is not None
    assert not playbook.steps[0].may_change
