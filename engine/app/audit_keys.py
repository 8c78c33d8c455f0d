"""The keys that sign the journal's checkpoints, and those that check them."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from engine.core.checkpoint import SignatureCheck
from engine.errors import ConfigError
from engine.settings import Settings
from engine.signing import Ed25519Signer, keyring, made_signer, signer_in, signer_of

log = structlog.get_logger(__name__)


def configured_signer(settings: Settings) -> Ed25519Signer | None:
    """What signs checkpoints; None where a folder's own key does, or nothing.

    Raises ConfigError for what is no key, and where nothing could sign and something has to.
    """
    audit = settings.audit
    if audit.signing_key is not None:
        return signer_of(audit.signing_key.get_secret_value())
    if settings.store.url is not None:
        missing = "set audit.signing_key, the same for every process"
        if audit.required:
            raise ConfigError(
                f"audit.required: nothing can sign checkpoints without a key; {missing}"
            )
        log.warning("checkpoints_unsigned", hint=missing)
    return None


def folder_signer(settings: Settings) -> Ed25519Signer | None:
    """The key of the data folder's own store; several processes on a PostgreSQL share none."""
    return made_signer(settings.data) if settings.store.url is None else None


def checking_keys(signer: Ed25519Signer | None, older: Sequence[str]) -> SignatureCheck | None:
    """What tells whether a checkpoint is signed by this key or an older one; None without any."""
    own = [] if signer is None else [signer.public_key]
    try:
        return keyring([*own, *older])
    except ConfigError as error:
        raise ConfigError(f"audit.verify_keys: {error}") from None


def folder_keys(data: Path) -> SignatureCheck | None:
    """The key that was made in a folder; one that was configured is in quell.yaml alone."""
    return checking_keys(signer_in(data), ())
