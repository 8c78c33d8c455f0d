import pytest

from engine.core.actions import ProbeAnswer
from engine.core.documents import CommandDocument
from engine.core.host_commands import judge_probe, render_command, runs_by_sudo, unknown_command
from engine.core.json_value import Json
from engine.core.mistakes import Mistakes
from engine.errors import PermanentError

RESTART = CommandDocument.model_validate(
    {
        "argv": ["sudo", "systemctl", "restart", "${{ args.unit }}"],
        "args": {"unit": {"type": "string", "pattern": "^[a-z0-9@_-][a-z0-9@._-]*$"}},
        "effect": "change",
        "repeat": "probe",
        "probe": {
            "argv": ["systemctl", "show", "${{ args.unit }}", "--property=InvocationID"],
            "done": "result.stdout != before.stdout",
        },
    }
)
CLEAN = CommandDocument.model_validate(
    {
        "argv": ["clean", "--older-than=${{ args.days }}d", "--mode=${{ args.mode }}", "cache"],
        "args": {
            "days": {"type": "integer", "minimum": 1, "maximum": 30},
            "mode": {"type": "enum", "values": ["dry-run", "real"]},
        },
        "effect": "change",
        "repeat": "harmless",
    }
)
FREE = CommandDocument.model_validate(
    {
        "argv": ["echo", "${{ args.text }}"],
        "args": {"text": {"type": "string"}},
        "effect": "read",
        "repeat": "harmless",
    }
)


def test_each_value_fills_one_element() -> None:
    rendered = render_command("restart-unit", RESTART, {"unit": "vllm@7"})
    assert rendered.argv == ("sudo", "systemctl", "restart", "vllm@7")
    assert rendered.probe_argv == ("systemctl", "show", "vllm@7", "--property=InvocationID")
    assert rendered.done == "result.stdout != before.stdout"


def test_values_of_a_checked_form_stand_inside_an_element() -> None:
    rendered = render_command("clean", CLEAN, {"days": 3, "mode": "dry-run"})
    assert rendered.argv == ("clean", "--older-than=3d", "--mode=dry-run", "cache")
    assert rendered.probe_argv == ()


def test_free_text_stays_one_element_whatever_it_says() -> None:
    text = "a b; $(reboot) `reboot` 'x' \"y\" && ${{ args.text }} *"
    assert render_command("echo", FREE, {"text": text}).argv == ("echo", text)


@pytest.mark.parametrize(
    ("command", "given", "message"),
    [
        pytest.param(RESTART, {}, "needs the argument 'unit'", id="missing"),
        pytest.param(RESTART, {"unti": "a"}, "no argument 'unti', did you mean 'unit'", id="typo"),
        pytest.param(RESTART, {"unit": "a b"}, "doesn't match the pattern", id="pattern"),
        pytest.param(RESTART, {"unit": "vllm\n"}, "doesn't match", id="line break at the end"),
        pytest.param(RESTART, {"unit": "-h"}, "may not begin with '-'", id="option"),
        pytest.param(CLEAN, {"days": 31, "mode": "real"}, "above the maximum", id="maximum"),
        pytest.param(CLEAN, {"days": 0, "mode": "real"}, "below the minimum", id="minimum"),
        pytest.param(CLEAN, {"days": True, "mode": "real"}, "isn't an integer", id="bool"),
        pytest.param(CLEAN, {"days": 1, "mode": "all"}, "none of dry-run, real", id="enum"),
        pytest.param(FREE, {"text": ["a"]}, "isn't text", id="list"),
        pytest.param(FREE, {"text": "a\nb"}, "unprintable", id="line break"),
        pytest.param(FREE, {"text": "a\x1b[2K"}, "unprintable", id="escape"),
        pytest.param(FREE, {"text": "a\u202eb"}, "unprintable", id="reversed writing"),
        pytest.param(FREE, {"text": "a\0b"}, "NUL", id="NUL"),
    ],
)
def test_a_wrong_argument_is_refused(
    command: CommandDocument, given: dict[str, Json], message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        render_command("x", command, given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"probe": None}, "no `probe`", id="no probe"),
        pytest.param({"argv": ["a", "${{ args.nuit }}"]}, "argv element", id="unknown argument"),
        pytest.param(
            {"probe": {"argv": ["a"], "done": "result.stdot == ''"}}, "done: ", id="bad done"
        ),
    ],
)
def test_a_wrong_command_is_refused(change: dict[str, Json], message: str) -> None:
    command = CommandDocument.model_validate(RESTART.model_dump() | change)
    with pytest.raises(PermanentError, match=message):
        render_command("restart-unit", command, {"unit": "a"})


def end(stdout: str = "", exit_code: int | None = 0, *, truncated: bool = False) -> dict[str, Json]:
    return {"stdout": stdout, "stderr": "", "exit_code": exit_code, "truncated": truncated}


CHANGED = "result.stdout != before.stdout"
EXISTS = "result.exit_code == 0"


@pytest.mark.parametrize(
    ("done", "result", "before", "answer"),
    [
        pytest.param(CHANGED, end("2"), end("1"), ProbeAnswer.DONE, id="another one runs"),
        pytest.param(CHANGED, end("1"), end("1"), ProbeAnswer.NOT_DONE, id="the same runs"),
        pytest.param(CHANGED, end("", 1), end("1"), ProbeAnswer.CANNOT_TELL, id="probe failed"),
        pytest.param(CHANGED, end("1"), end("", 1), ProbeAnswer.CANNOT_TELL, id="failed before"),
        pytest.param(CHANGED, end("1"), {}, ProbeAnswer.CANNOT_TELL, id="never looked before"),
        pytest.param(
            CHANGED, end("2", truncated=True), end("1"), ProbeAnswer.CANNOT_TELL, id="cut"
        ),
        pytest.param(EXISTS, end("", 1), end("", 1), ProbeAnswer.NOT_DONE, id="exit code asked"),
        pytest.param(EXISTS, end(""), end("", 1), ProbeAnswer.DONE, id="exit code now 0"),
        pytest.param(
            "int(result.stdout) > 3", end("many"), end(), ProbeAnswer.CANNOT_TELL, id="no value"
        ),
    ],
)
def test_a_probe_is_judged(
    done: str, result: dict[str, Json], before: dict[str, Json], answer: ProbeAnswer
) -> None:
    assert judge_probe(done, result, before) is answer


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unit-stat", "unknown command 'unit-stat', did you mean 'unit-state'?"),
        (
            "sudo reboot",
            "'sudo reboot' is no command's name: write it as the `argv` of a command in "
            "commands.yaml, and the name here",
        ),
    ],
    ids=["misspelt", "written out"],
)
def test_a_command_that_is_not_there_is_told_with_what_to_write(name: str, message: str) -> None:
    mistakes = Mistakes()
    unknown_command(name, ["unit-state"], mistakes)
    assert [each.message for each in mistakes.found] == [message]


@pytest.mark.parametrize(
    ("argv", "is_so"),
    [(["sudo", "x"], True), (["/usr/bin/sudo"], True), (["x", "sudo"], False), ([], False)],
)
def test_sudo_is_known_wherever_it_is(argv: list[str], is_so: bool) -> None:
    assert runs_by_sudo(argv) is is_so
