"""The program that sshd runs for quell's key: it lets the needed commands through, and no other.

sshd(8), "AUTHORIZED_KEYS FILE FORMAT", command="...": it is run instead of what the client asks
for, which stands in SSH_ORIGINAL_COMMAND.
"""

from engine.core.host_permissions import Compared, HostPermissions

PATH = "/usr/local/libexec/quell-commands"
_BEGIN, _END = "permitted=$(cat <<'COMMANDS'", "COMMANDS"
# What sh reads as one word, and nothing in it as more than a letter; as Python's shlex quotes.
_PLAIN = "[A-Za-z0-9_@%+=:,./-]+"
_QUOTED = """'[^']*'(\\"'\\"'[^']*')*"""


def authorized_program(needed: HostPermissions) -> str:
    """The whole file, for sh; needs `grep -E`, and tells refusals to syslog where there is one."""
    commands = "\n".join(needed.authorized)
    return f"""\
#!/bin/sh
# What {needed.user} may run on {needed.host} by SSH, and nothing else.
# `quell permissions` wrote it; root's, as {PATH}, mode 0755. In authorized_keys, before the key:
# restrict,command="{PATH}"
# A line is a command; between tabs, what each of its words may be (POSIX extended expressions).
{_BEGIN}
{commands}
{_END}
)
asked=$SSH_ORIGINAL_COMMAND
refuse() {{
    logger -t quell-commands -p auth.warning -- "refused: $asked" 2>/dev/null
    printf "quell-commands: this host doesn't permit: %s\\n" "$asked" >&2
    exit 126
}}
matches() {{
    printf '%s\\n' "$1" | LC_ALL=C grep -Eqx -e "$2"
}}
case $asked in
'' | *[[:cntrl:]]*) refuse ;;
esac
plain="{_PLAIN}"
quoted="{_QUOTED}"
matches "$asked" "($plain|$quoted)( ($plain|$quoted))*" || refuse
# Every word is plain or quoted, so nothing in it is expanded.
eval "set -- $asked"
IFS=$(printf '\\t')
words="$*"
unset IFS
matches "$words" "$permitted" || refuse
exec "$@"
"""


def compare_program(text: str, needed: HostPermissions) -> Compared:
    """Command by command; `unread` are lines around them that quell doesn't write, or misses."""
    found, around = _parts(text)
    _, wanted_around = _parts(authorized_program(needed))
    missing = [f"(missing) {line}" for line in wanted_around if line not in around]
    return Compared(
        too_much=tuple(line for line in found if line not in needed.authorized),
        too_little=tuple(line for line in needed.authorized if line not in found),
        unread=(*(line for line in around if line not in wanted_around), *missing),
    )


def _parts(text: str) -> tuple[list[str], list[str]]:
    """The commands, and the program around them without comments."""
    lines = text.splitlines()
    if _BEGIN not in lines or _END not in lines:
        return [], lines
    begin = lines.index(_BEGIN)
    end = lines.index(_END, begin)
    around = [*lines[: begin + 1], *lines[end:]]
    return (
        [line for line in lines[begin + 1 : end] if line],
        [line for line in around if line and (line.startswith("#!") or not line.startswith("#"))],
    )
