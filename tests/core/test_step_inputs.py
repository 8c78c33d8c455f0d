"""What a step gives its action, and how its author hears what is wrong with it."""

import pytest

from tests.doubles.playbooks import assert_told, changed, compiled

MISTAKES = [
    ("steps/0/with/hots", "x", "steps/0/with/hots", 0, "did you mean 'host'?"),
    ("steps/0/with/host", ..., "steps/0/with", 0, "needs 'host'"),
    ("steps/0/with/host", "gpu-7", "steps/0/with/host", 0, "did you mean 'gpu-07'?"),
    ("steps/0/with/command", "restart-unti", "steps/0/with/command", 0, "'restart-unit'?"),
    ("steps/0/with/args", {}, "steps/0/with/args", 0, "needs argument 'unit'"),
    ("steps/0/with/args", ..., "steps/0/with", 0, "needs argument 'unit'"),
    ("steps/0/with/args/unit", "a b", "steps/0/with/args/unit", 0, "the pattern"),
    ("steps/0/with/args/unti", "a", "steps/0/with/args/unti", 0, "did you mean 'unit'?"),
    ("steps/0/connection", "prom-a", "steps/0/connection", 0, "kind prometheus, not ssh"),
    ("steps/0/connection", "ssh-fr", "steps/0/connection", 0, "did you mean 'ssh-fra'?"),
    ("verify/0/within", ..., "verify/0", 0, "needs `within`"),
    ("verify/0/with/model", 7, "verify/0/with/model", 0, "put it in quotes"),
    (
        "verify/0/with/model",
        "${{ alert.labels.model }}",
        "verify/0/with/model",
        5,
        "add a parameter with `default: '${{ alert.labels.model }}'`",
    ),
    (
        "verify/0/with/model",
        "${{ steps.restart.stdout }}",
        "verify/0/with/model",
        5,
        "inputs see what `investigate` gave",
    ),
    ("verify/0/with/max_tokens", 257, "verify/0/with/max_tokens", 0, "above the maximum 256"),
    ("verify/0/connection", "ssh-fra", "verify/0/connection", 0, "of kind ssh, not llm"),
]


@pytest.mark.parametrize(
    ("change", "value", "path", "column", "message"),
    [pytest.param(*row, id=f"{row[0]}={row[1]}") for row in MISTAKES],
)
def test_a_mistake_is_told_with_its_place(
    change: str, value: object, path: str, column: int, message: str
) -> None:
    assert_told(changed(change, value), path, column, message)


def test_a_command_that_changes_is_not_for_an_action_that_reads() -> None:
    _, told = compiled(changed("steps/0/uses", "ssh.read"))
    assert ("steps/0/uses", 0, "ssh.read does read, and command 'restart-unit' is a change") in told


def test_a_step_names_its_connection_where_there_are_several() -> None:
    query = {
        "id": "serves",
        "uses": "prometheus.query",
        "with": {"query": "up"},
        "until": "result.value == 1",
        "within": "1m",
    }
    _, told = compiled(changed("verify", [query]))
    assert [message for _, _, message in told] == [
        "there are several connections for prometheus.query: write `connection:` "
        "with one of prom-a, prom-b"
    ]
    playbook, told = compiled(changed("verify", [{**query, "connection": "prom-b"}]))
    assert not told
    assert playbook is not None
    assert playbook.verify[0].connection == "prom-b"


def test_inputs_of_a_change_see_what_investigate_gave() -> None:
    playbook, told = compiled(changed("steps/0/with/args/unit", "${{ steps.gpu.stdout }}"))
    assert not told
    assert playbook is not None


def test_an_action_without_connections_takes_none() -> None:
    request = {
        "id": "serves",
        "uses": "http.request",
        "with": {"method": "GET", "url": "https://a.example/"},
        "connection": "ssh-fra",
        "until": "result.ok",
        "within": "1m",
    }
    _, told = compiled(changed("verify", [request]))
    assert told == [
        ("verify/0/connection", 0, "http.request works without a connection; remove it")
    ]
