"""What makes a cluster safe to use: TLS with checked names, and who quell is to the brokers."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    model_validator,
)

from engine.errors import TransientError
from engine.ports.file_paths import BesideFile
from engine.ports.known_secrets import HOLDS_SECRET, KNOWN


class Section(BaseModel):
    """Root of these sections: frozen, unknown keys refused, and no value in a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Tls(Section):
    """Whom quell trusts, and its own certificate where the brokers ask for one (mTLS)."""

    ca: BesideFile | None = None
    """PEM; without it, the authorities that the system trusts."""
    certificate: Annotated[BesideFile | None, HOLDS_SECRET] = None
    """PEM, with what lies between it and the authority that the brokers trust."""
    key: Annotated[BesideFile | None, HOLDS_SECRET] = None
    """PEM without a passphrase; absent where it is in the certificate's file."""

    @model_validator(mode="after")
    def _key_has_certificate(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("key is given without its certificate: add certificate")
        return self


class PasswordSasl(Section):
    """A user and a password; with SCRAM the password never leaves this process."""

    mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]
    user: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


class OAuthSasl(Section):
    """OAuth 2's client credentials (RFC 6749, 4.4): the issuer's token is what the brokers see."""

    mechanism: Literal["OAUTHBEARER"]
    token_url: HttpUrl
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    scope: str = ""
    ca: BesideFile | None = None
    """Who signed the token endpoint's certificate, in PEM; absent: whom the system trusts."""

    @model_validator(mode="after")
    def _secret_travels_safely(self) -> Self:
        local = self.token_url.host in ("127.0.0.1", "[::1]", "localhost")
        if self.token_url.scheme != "https" and not local:
            raise ValueError("token_url must begin with https://: the client's secret goes there")
        return self


class KafkaSecurity(Section):
    """Absent sections are off. With `tls`, certificates and host names are always checked."""

    tls: Tls | None = None
    sasl: Annotated[PasswordSasl | OAuthSasl, Field(discriminator="mechanism")] | None = None

    @model_validator(mode="after")
    def _nothing_secret_in_the_clear(self) -> Self:
        clear = self.sasl is not None and not self.sasl.mechanism.startswith("SCRAM-")
        if clear and self.tls is None:
            raise ValueError(
                "PLAIN and OAUTHBEARER send what others could use again: add tls "
                "(`tls: {}` trusts whom the system trusts)"
            )
        return self


def credentials(security: KafkaSecurity, tokens: object) -> dict[str, Any]:
    """What aiokafka needs for this; files are read each time, so a new client has renewed ones.

    Raises TransientError while a file can't be used: it may be in the middle of being renewed.
    """
    tls, sasl = security.tls, security.sasl
    # A key may have been renewed since it was declared.
    for name in ("certificate", "key"):
        if tls is not None and (path := getattr(tls, name)) is not None:
            KNOWN.keep_file(f"stream.security.tls.{name}", path)
    plain = "PLAINTEXT" if tls is None else "SSL"
    settings: dict[str, Any] = {
        "security_protocol": plain if sasl is None else f"SASL_{plain}",
        "ssl_context": None if tls is None else client_context(tls.ca, tls.certificate, tls.key),
    }
    if isinstance(sasl, PasswordSasl):
        settings |= {
            "sasl_mechanism": sasl.mechanism,
            "sasl_plain_username": sasl.user,
            "sasl_plain_password": sasl.password.get_secret_value(),
        }
    elif isinstance(sasl, OAuthSasl):
        settings |= {"sasl_mechanism": sasl.mechanism, "sasl_oauth_token_provider": tokens}
    return settings


def client_context(
    ca: Path | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """A client's, which checks certificates and host names. Raises TransientError for a file."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise _unusable(f"ca {str(ca)!r}", error) from None
    if certificate is not None:
        try:
            # Without a password, OpenSSL would ask for a passphrase at the terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            files = f"certificate {str(certificate)!r} with key {str(key or certificate)!r}"
            raise _unusable(files, error) from None
    return context


def _unusable(files: str, error: OSError) -> TransientError:
    why = (isinstance(error, ssl.SSLError) and error.reason) or error.strerror or "not PEM"
    return TransientError(f"{files} can't be used: {why}")
