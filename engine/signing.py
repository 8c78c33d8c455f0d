"""Ed25519 keys for checkpoints: read, made, and known by the hash of their public part.

A key is written as PEM or as the base64 of its 32 raw bytes.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from typing_extensions import override

from engine.core.checkpoint import SignatureCheck
from engine.errors import ConfigError
from engine.ports.known_secrets import KNOWN
from engine.ports.signer import Signer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

KEY_FILE = "audit-key.pem"
KEY_ID_LENGTH = 16
_PEM_BEGINS = "-----BEGIN"


class Ed25519Signer(Signer):
    """Signs with one key."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key
        # Its PEM is the base64 of these bytes behind a few that all keys share.
        KNOWN.keep("audit.signing_key", key.private_bytes_raw())
        self._key_id = _key_id(key.public_key())

    @property
    @override
    def key_id(self) -> str:
        return self._key_id

    @override
    def sign(self, statement: bytes) -> bytes:
        return self._key.sign(statement)

    @property
    def public_key(self) -> str:
        """PEM: what verifiers are given."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._key.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signer_of(text: str) -> Ed25519Signer:
    """From a private key. Raises ConfigError, which doesn't show it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        if _PEM_BEGINS in text:
            key = load_pem_private_key(text.encode(), password=None)
        else:
            key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            "audit.signing_key is no Ed25519 key: make one with "
            "`openssl genpkey -algorithm ed25519`, without a password"
        )
    return Ed25519Signer(key)


def signer_in(folder: Path) -> Ed25519Signer | None:
    """The key that was made in a data folder; None when there is none. Raises ConfigError."""
    path = folder / KEY_FILE
    try:
        return signer_of(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the signing key {str(path)!r} can't be read: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{str(path)!r}: {error}") from None


def made_signer(folder: Path) -> Ed25519Signer:
    """The key of a data folder, made where there is none (mode 0600). Raises ConfigError."""
    found = signer_in(folder)
    if found is not None:
        return found
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path, draft = folder / KEY_FILE, folder / f".{KEY_FILE}.new"
    try:
        draft.unlink(missing_ok=True)
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"no signing key can be made in {str(path)!r}: {error}") from None
    return Ed25519Signer(key)


def public_keys_in(text: str) -> list[str]:
    """The keys of a file: PEM blocks, or one in base64 a line."""
    if _PEM_BEGINS in text:
        return [_PEM_BEGINS + block for block in text.split(_PEM_BEGINS)[1:]]
    return [line.strip() for line in text.splitlines() if line.strip()]


def keyring(public_keys: Iterable[str]) -> SignatureCheck | None:
    """What checks signatures by these keys; None without any. Raises ConfigError."""
    from cryptography.exceptions import InvalidSignature

    found = [_public_key(text) for text in public_keys]
    keys: Mapping[str, Ed25519PublicKey] = {_key_id(key): key for key in found}

    def check(
        key_id: str, statement: bytes, signature: bytes
    ) -> Literal["valid", "wrong", "unknown_key"]:
        if key_id not in keys:
            return "unknown_key"
        try:
            keys[key_id].verify(signature, statement)
        except InvalidSignature:
            return "wrong"
        return "valid"

    return check if keys else None


def _public_key(text: str) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if _PEM_BEGINS in text:
            key = load_pem_public_key(text.encode())
        else:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        # Not shown: somebody may have given the private one.
        raise ConfigError("this is no public Ed25519 key: `quell audit key` prints the one to give")
    return key


def _key_id(key: "Ed25519PublicKey") -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_LENGTH]
