"""What a client's environment says of its server; engine.settings reads the engine's own."""

import os
from dataclasses import dataclass, field

from engine.ports.known_secrets import KNOWN


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Which server the verbs talk to: QUELL_SERVER and QUELL_TOKEN; "" when not set.

    `ca`, QUELL_CA, is the file of the authority that signed its certificate.
    """

    server: str
    token: str = field(repr=False)
    ca: str = ""


def client_settings() -> ClientSettings:
    """From the environment."""
    token = os.environ.get("QUELL_TOKEN", "")
    KNOWN.keep("QUELL_TOKEN", token)
    environ = os.environ
    return ClientSettings(environ.get("QUELL_SERVER", ""), token, environ.get("QUELL_CA", ""))
