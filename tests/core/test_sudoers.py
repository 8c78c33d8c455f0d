"""Lines of sudoers: sound by visudo's word, and compared right by right."""

from pathlib import Path

import pytest

from engine.core.host_permissions import Compared, HostPermissions, SudoCommand
from engine.core.sudoers import compare, sudoers_lines
from tests.services.process import program, run

RESTART = SudoCommand("root", "/usr/bin/systemctl", "restart (vllm|a,b)")
DUMP = SudoCommand("postgres", "/usr/bin/pg_dumpall", "")
NEEDED = HostPermissions("gpu-07", "127.0.0.1", "quell", "", True, (), (RESTART, DUMP))
LINES = "\n".join(sudoers_lines(NEEDED)) + "\n"
RESTARTS = "quell ALL=(root) NOPASSWD: /usr/bin/systemctl ^restart (vllm|a,b)$"
DUMPS = 'quell ALL=(postgres) NOPASSWD: /usr/bin/pg_dumpall ""'
TIMEOUTS = "Defaults:quell user_command_timeouts"


def test_visudo_finds_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "sudoers"
    path.write_text(LINES)
    run([program("visudo"), "-c", "-f", path])
    assert LINES.splitlines() == [RESTARTS, DUMPS, TIMEOUTS]


def test_an_account_without_sudo_needs_no_line() -> None:
    assert sudoers_lines(HostPermissions("gpu-07", "", "quell", "", True, (), ())) == ()


NOTHING = Compared((), (), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(LINES, NOTHING, id="the same"),
        pytest.param(f"# ours\n\n{LINES}root ALL=(ALL) ALL\n", NOTHING, id="others"),
        pytest.param(
            f"quell ALL=(root) NOPASSWD: /usr/bin/systemctl ^restart (vllm|a,b)$, \\\n"
            f" (postgres) /bin/x\n{DUMPS}\n{TIMEOUTS}",
            Compared(("quell ALL=(root) NOPASSWD: (postgres) /bin/x",), (), ()),
            id="one more in a list",
        ),
        pytest.param(
            f"{DUMPS}\n{TIMEOUTS}\nquell ALL=(root) NOPASSWD: /usr/bin/systemctl restart *",
            Compared(("quell ALL=(root) NOPASSWD: /usr/bin/systemctl restart *",), (RESTARTS,), ()),
            id="a wildcard is another right",
        ),
        pytest.param(
            "Cmnd_Alias OURS = /usr/bin/systemctl ^restart (vllm|a,b)$\n"
            f"quell ALL=(root) NOPASSWD: OURS\n{DUMPS}\n{TIMEOUTS}",
            NOTHING,
            id="an alias",
        ),
        pytest.param(
            f"{LINES.replace('NOPASSWD: /usr/bin/systemctl', '/usr/bin/systemctl')}",
            Compared((RESTARTS.replace("NOPASSWD: ", ""),), (RESTARTS,), ()),
            id="asks for a password",
        ),
        pytest.param(
            f"{LINES}quell ALL=(ALL) NOPASSWD: ALL\n%admin ALL=(ALL) ALL\n@includedir /etc/s.d\n",
            Compared(
                ("quell ALL=(ALL) NOPASSWD: ALL",),
                (),
                ("%admin ALL=(ALL) ALL", "@includedir /etc/s.d"),
            ),
            id="all, and what may give more",
        ),
        pytest.param("", Compared((), (RESTARTS, DUMPS, TIMEOUTS), ()), id="empty"),
    ],
)
def test_what_is_too_much_and_too_little_is_told(text: str, expected: Compared) -> None:
    assert compare(text, NEEDED) == expected
