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
