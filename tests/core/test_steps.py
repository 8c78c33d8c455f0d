import pytest

from tests.doubles.playbooks import PLAYBOOK, changed, compiled

MISTAKES = [
    ("steps/0/uses", "ssh.rum", "steps/0/uses", 0, "did you mean 'ssh.run'?"),
    ("steps/0/with/hots", "x", "steps/0/with/hots", 0, "did you mean 'host'?"),
    ("steps/0/with/host", ..., "steps/0/with", 0, "needs 'host'"),
    ("steps/0/with/host", "gpu-7", "steps/0/with/host", 0, "did you mean 'gpu-07'?"),
    ("steps/0/with/command", "restart-unti", "steps/0/with/command", 0, "'restart-unit'?"),
    ("steps/0/with/args", {}, "steps/0/with/args", 0, "needs argument 'unit'"),
    ("steps/0/with/args", ..., "steps/0/with", 0, "needs argument 'unit'"),
    ("steps/0/with/args/unit", "a b", "steps/0/with/args/unit", 0, "the pattern"),
    ("steps/0/with/args/unti", "a", "steps/0/with/args/unti", 0, "did you mean 'unit'?"),
    ("steps/0/rollback", ..., "steps/0", 0, "write `rollback: none`"),
    ("steps/0/if", "steps.gpu.exit_code", "steps/0/if", 1, "bool is needed"),
    ("steps/0/if", "steps.serves.ok", "steps/0/if", 1, "'steps.serves.ok' isn't known here"),
    ("steps/0/timeout", "10 m", "steps/0/timeout", 0, "isn't a duration"),
    (
        "steps/0/until",
        "true",
        "steps/0/until",
        0,
        "belongs to `guards` and `verify`, not to `steps`",
    ),
    ("steps/0/connection", "prom-a", "steps/0/connection", 0, "kind prometheus, not ssh"),
    ("steps/0/connection", "ssh-fr", "steps/0/connection", 0, "did you mean 'ssh-fra'?"),
    ("steps/0/retry", {"attempts": 2, "wait": "x"}, "steps/0/retry/wait", 0, "isn't a duration"),
    ("steps/0/id", "gpu", "steps/0/id", 0, "ids are unique"),
    ("verify/0/until", ..., "verify/0", 0, "needs `until`"),
    ("verify/0/within", ..., "verify/0", 0, "needs `within`"),
    ("verify/0/until", "result.okay", "verify/0/until", 1, "did you mean 'result.ok'?"),
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
    playbook, told = compiled(changed(change, value))
    assert playbook is None
    (found,) = told
    assert found[:2] == (path, column)
    assert message in found[2]


def test_investigation_and_verification_only_read() -> None:
    step = {
        **PLAYBOOK["steps"][0],
        "id": "early",
        "with": {**PLAYBOOK["steps"][0]["with"]},
    }
    del step["if"], step["rollback"]
    _, told = compiled(changed("investigate", [step]))
    assert (
        "investigate/0/uses",
        0,
        "`investigate` only reads, and this step changes something",
    ) in (told)
    late = {**step, "until": "result.exit_code == 0", "within": "1m"}
    _, told = compiled(changed("verify", [late]))
    assert [message for _, _, message in told] == [
        "`verify` only reads, and this step changes something"
    ]


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


def test_what_undoes_a_step_may_ask_how_it_ended() -> None:
    undo = {
        "id": "undo",
        "uses": "ssh.run",
        "with": PLAYBOOK["steps"][0]["with"],
        "if": 'steps.restart.outcome == "failed"',
    }
    playbook, told = compiled(changed("steps/0/rollback", [undo]))
    assert not told
    assert playbook is not None
    assert playbook.steps[0].rollback[0].phase == "rollback"


def test_a_change_after_another_does_not_see_its_undoing() -> None:
    document = changed(
        "steps/0/rollback",
        [{"id": "undo", "uses": "ssh.run", "with": PLAYBOOK["steps"][0]["with"]}],
    )
    again = {**PLAYBOOK["steps"][0], "id": "again", "if": 'steps.undo.outcome == "failed"'}
    document["steps"].append(again)
    _, told = compiled(document)
    assert [path for path, _, _ in told] == ["steps/1/if"]


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
