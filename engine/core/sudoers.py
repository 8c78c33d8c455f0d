"""sudoers(5): the lines that an account needs, and what a file has more or less than that."""

from collections.abc import Iterator, Mapping, Sequence

from engine.core.host_permissions import Compared, HostPermissions


def sudoers_lines(needed: HostPermissions) -> tuple[str, ...]:
    """One line a command, so that a change of it is a change of one line; none for none."""
    lines = [
        f"{needed.user} ALL=({each.run_as}) NOPASSWD: {command_text(each.path, each.arguments)}"
        for each in needed.sudo
    ]
    if lines and needed.sudo_timeouts:
        lines.append(f"Defaults:{needed.user} user_command_timeouts")
    return tuple(lines)


def command_text(path: str, arguments: str) -> str:
    """A command with the arguments that it may have; `""` lets none."""
    return f"{path} ^{arguments}$" if arguments else f'{path} ""'


def compare(text: str, needed: HostPermissions) -> Compared:
    """Each right by itself: who, as whom, which command, with or without a password.

    Aliases of commands are followed. A line for others than this account is left alone; one for a
    group, or that includes a file, is told as unread, because it may give more.
    """
    wanted = dict.fromkeys(right for line in sudoers_lines(needed) for right in _rights(line, {}))
    aliases: dict[str, list[str]] = {}
    found: dict[str, None] = {}
    unread = []
    for line in _lines(text):
        word = line.split(maxsplit=1)[0]
        if word == "Cmnd_Alias":
            for each in line.split(maxsplit=1)[1].split(" : "):
                name, _, commands = each.partition("=")
                aliases[name.strip()] = _listed(commands)
        elif word == f"Defaults:{needed.user}" or word == needed.user:
            found.update(dict.fromkeys(_rights(line, aliases)))
        elif word.startswith(("%", "+", "#", "@")) or word == "ALL" or word.endswith("_Alias"):
            unread.append(line)
    return Compared(
        too_much=tuple(right for right in found if right not in wanted),
        too_little=tuple(right for right in wanted if right not in found),
        unread=tuple(unread),
    )


def _lines(text: str) -> Iterator[str]:
    """Without comments and blank lines; a line that ends in a backslash goes on in the next."""
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.strip()
        if bare and (not bare.startswith("#") or bare.startswith(("#include", "#0", "#1"))):
            yield bare


def _rights(line: str, aliases: Mapping[str, Sequence[str]]) -> Iterator[str]:
    user, _, rest = line.partition(" ")
    if user.startswith("Defaults:"):
        yield f"{user} {rest.strip()}"
        return
    hosts, _, rest = rest.partition("=")
    rest = rest.strip()
    run_as = "root"
    password = True
    if rest.startswith("("):
        run_as, _, rest = rest[1:].partition(")")
    for written in _listed(rest):
        command = written
        while (tag := command.partition(":"))[1] and tag[0].strip().isupper() and "/" not in tag[0]:
            if tag[0].strip() in ("NOPASSWD", "PASSWD"):
                password = tag[0].strip() == "PASSWD"
            command = tag[2].strip()
        for each in aliases.get(command, [command]):
            asked = "" if password else "NOPASSWD: "
            yield f"{user} {hosts.strip()}=({run_as.strip()}) {asked}{' '.join(each.split())}"


def _listed(text: str) -> list[str]:
    """Parts between commas; one that is escaped, or in a regular expression, is no end."""
    found, part, place = [], "", 0
    while place < len(text):
        if text[place] == "^" and part.endswith(" "):
            end = text.find("$", place)
            end = len(text) if end < 0 else end + 1
        else:
            end = place + (2 if text[place] == "\\" else 1)
        if text[place] == ",":
            found.append(part.strip())
            part = ""
        else:
            part += text[place:end]
        place = end
    return [each for each in (*found, part.strip()) if each]
