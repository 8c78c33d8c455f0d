import pytest

from engine.core.argv_checks import check_argv, check_used
from engine.core.compiling import compile_text
from engine.core.documents import CommandDocument
from engine.core.expressions import Scope, ValueType
from engine.core.mistakes import Mistakes

SCOPE = Scope({"args.file": ValueType.STRING, "args.unit": ValueType.FORMATTED})


def told(*argv: str) -> list[tuple[int, str]]:
    mistakes = Mistakes()
    compiled = [compile_text(each, SCOPE, ValueType.DYN, Mistakes()) for each in argv]
    check_argv(argv, compiled, mistakes)
    return [(int(each.path[0]), each.message) for each in mistakes.found]


@pytest.mark.parametrize(
    "argv",
    [
        ("bash", "-c", "${{ args.file }}"),
        ("sudo", "-n", "/bin/sh", "-ec", "systemctl restart ${{ args.unit }}"),
        ("timeout", "30", "bash", "-lc", "${{ args.file }}"),
        ("python3", "-c", "${{ args.file }}"),
        ("perl", "-ne", "${{ args.file }}"),
        ("node", "--eval", "${{ args.file }}"),
        ("su", "app", "-c", "${{ args.file }}"),
        ("env", "-S", "${{ args.file }}"),
    ],
)
def test_a_value_is_never_code(argv: tuple[str, ...]) -> None:
    ((index, message),) = told(*argv)
    assert index == len(argv) - 1
    assert "a value must never be code" in message


@pytest.mark.parametrize(
    ("argv", "index", "said"),
    [
        (("systemctl restart vllm",), 0, "[systemctl, restart, vllm]"),
        (("", "x"), 0, "the program is missing"),
        (("ls", "|", "wc"), 1, "no shell reads it"),
        (("cat", "a", "2>&1"), 2, "no shell reads it"),
        (("ls", "a\0b"), 1, "control character"),
    ],
)
def test_what_is_no_argument_is_told(argv: tuple[str, ...], index: int, said: str) -> None:
    ((found, message),) = told(*argv)
    assert found == index
    assert said in message


@pytest.mark.parametrize(
    "argv",
    [
        ("sh", "-c", 'rm -- "$1" | cat\nls', "sh", "${{ args.file }}"),
        ("sudo", "systemctl", "restart", "${{ args.unit }}"),
        ("find", "/srv", "-exec", "ls", "{}", ";"),
        ("grep", "-c", "${{ args.file }}"),
        ("docker", "inspect", "--format", "{{.State.Status}}", "${{ args.unit }}"),
        ("python3", "/usr/local/bin/look.py", "-x", "${{ args.file }}"),
        ("awk", "{ print }\t"),
    ],
)
def test_what_an_operator_may_well_mean_is_left_alone(argv: tuple[str, ...]) -> None:
    assert not told(*argv)


@pytest.mark.parametrize(
    ("argv", "probe", "unused"),
    [
        (("ls", "${{ args.file }}"), ("stat", "x"), {"files"}),
        (("ls", "+${{ int(args.files) + 1 }}"), ("stat", "${{ args.file }}"), set()),
        (("ls", "{file}"), ("stat", "args.files"), {"file", "files"}),
    ],
)
def test_an_argument_that_nothing_takes_is_told(
    argv: tuple[str, ...], probe: tuple[str, ...], unused: set[str]
) -> None:
    command = CommandDocument.model_validate(
        {
            "argv": argv,
            "args": {"file": {}, "files": {}},
            "effect": "change",
            "repeat": "probe",
            "probe": {"argv": probe, "done": "true"},
        }
    )
    mistakes = Mistakes()
    check_used(command, mistakes)
    assert {each.path for each in mistakes.found} == {("args", name) for name in unused}
