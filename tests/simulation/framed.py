"""What the playbooks of the simulated team have in common, around what each of them does."""

_FRAME = """language: 1
id: <id>
description: <description>
max_mode: auto
<head>parameters:
  host: {type: target, kind: host}
<guards>approval: {from: [role:oncall], expires: 90s}
<does>verify:
  - id: <proof>
    uses: lab.look
    with: {what: serves, host: '${{ params.host }}'}
    until: result.ok
<proven>"""


def framed(
    name: str,
    does: str,
    *,
    head: str = "",
    guards: str = "",
    proof: str = "serves",
    proven: str = "    within: 10s\n",
) -> str:
    """The text of a playbook; its parts are lines as they stand in it.

    `name` is its id and description, `head` what stands before its parameters, `does` all from
    `steps` to the verification, `proven` how long that is waited for and what comes behind.
    """
    playbook, _, description = name.partition(": ")
    written = {
        "<id>": playbook,
        "<description>": description,
        "<head>": head,
        "<guards>": guards,
        "<does>": does,
        "<proof>": proof,
        "<proven>": proven,
    }
    text = _FRAME
    for place, lines in written.items():
        text = text.replace(place, lines)
    return text
