"""Which servers a client believes over TLS: one with this very certificate, or one of a CA."""

import ssl
from pathlib import Path

from engine.errors import ConfigError


def only(certificate: Path) -> ssl.SSLContext:
    """The server whose own certificate is the first of this file, whatever it is called.

    For an engine on this machine, which is found by its files. Raises ConfigError.
    """
    # Here, because a verb that talks to an engine without TLS doesn't wait for it.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        own = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(certificate, error) from None
    context.load_verify_locations(cadata=own.public_bytes(Encoding.PEM).decode())
    # It needs no authority beside itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def signed_by(ca: Path) -> ssl.SSLContext:
    """Servers whose certificate this authority signed. Raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise _unusable(ca, error) from None


def _unusable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"the certificate in {str(path)!r} can't be used: {error}")
