"""What lets a sender in by its `Authorization` header: tokens, and pairs of user and password."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

# An empty one, say from a variable that isn't set, would let everybody in.
Secret = Annotated[SecretStr, Field(min_length=1)]


class Section(BaseModel):
    """Root of a source's settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class BasicCredentials(Section):
    """One user of HTTP's Basic authentication."""

    user: str = Field(pattern=r"^[^:]+$")
    password: Secret


class Credentials:
    """The tokens and users of one source; any of them lets a sender in.

    So one can be replaced while both are in use.
    """

    def __init__(
        self, bearer: Iterable[SecretStr] = (), basic: Iterable[BasicCredentials] = ()
    ) -> None:
        self._accepted = tuple(
            hashlib.sha256(credential).digest()
            for credential in (
                *(b"bearer " + token.get_secret_value().encode() for token in bearer),
                *(
                    b"basic " + f"{each.user}:{each.password.get_secret_value()}".encode()
                    for each in basic
                ),
            )
        )

    def __bool__(self) -> bool:
        return bool(self._accepted)

    def accept(self, authorization: str) -> bool:
        """Whether the header holds one of them; False where none is configured."""
        offered = hashlib.sha256(_credential(authorization)).digest()
        # All are compared, by digests of one length: the time tells neither which one nor how far.
        found = False
        for accepted in self._accepted:
            found |= hmac.compare_digest(accepted, offered)
        return found


def _credential(authorization: str) -> bytes:
    """`scheme secret` in one spelling: the scheme in lower case, Basic decoded.

    HTTP libraries decode a header as Latin-1, which is undone here.
    """
    scheme, _, secret = authorization.strip().partition(" ")
    raw = secret.strip().encode("latin-1", "replace")
    if scheme.lower() == "basic":
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error:
            return b""
    return scheme.lower().encode("latin-1", "replace") + b" " + raw


def offered(authorization: str) -> str:
    """What a sender offered, for the log: the scheme alone."""
    return authorization.strip().partition(" ")[0][:20] or "no credentials"
