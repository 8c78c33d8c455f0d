"""References to secrets: how a plan holds what only the call itself is given."""

import re2

NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
OPENING = "${secret:"
_REFERENCE = re2.compile(rf"\$\{{secret:({NAME})\}}")


def reference_to(name: str) -> str:
    """What stands in a plan for the secret of this name: `${secret:balancer-token}`."""
    return f"{OPENING}{name}}}"


def name_in(text: str) -> str:
    """The name in a text that is a reference as a whole, else the text."""
    found = _REFERENCE.fullmatch(text)
    return str(found.group(1)) if found else text
