"""Keys: read in either spelling, made once, known by their public part, never shown."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from engine.errors import ConfigError
from engine.ports.known_secrets import KNOWN
from engine.signing import (
    KEY_FILE,
    Ed25519Signer,
    keyring,
    made_signer,
    public_keys_in,
    signer_in,
    signer_of,
)

# RFC 8032, section 7.1, test 1.
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
    "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)


def pem(
    key: Ed25519PrivateKey | X25519PrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    encryption = encryption or NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def test_it_signs_as_the_standard_says() -> None:
    signer = signer_of(base64.b64encode(SECRET).decode())
    assert signer.sign(b"") == SIGNATURE
    assert len(signer.key_id) == 16
    check = keyring([base64.b64encode(PUBLIC).decode()])
    assert check is not None
    assert check(signer.key_id, b"", SIGNATURE) == "valid"
    assert check(signer.key_id, b"x", SIGNATURE) == "wrong"
    assert check(signer.key_id, b"", b"short") == "wrong"
    assert check("0" * 16, b"", SIGNATURE) == "unknown_key"


def test_both_spellings_are_the_same_key() -> None:
    key = Ed25519PrivateKey.from_private_bytes(SECRET)
    raw = signer_of(base64.b64encode(SECRET).decode())
    assert signer_of(pem(key)).key_id == raw.key_id
    check = keyring([raw.public_key])
    assert check is not None
    assert check(raw.key_id, b"", SIGNATURE) == "valid"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("not base64!", id="no key at all"),
        pytest.param(base64.b64encode(b"x" * 31).decode(), id="too short"),
        pytest.param(pem(X25519PrivateKey.generate()), id="another kind"),
        pytest.param(
            pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")),
            id="with a password",
        ),
        pytest.param("-----BEGIN PRIVATE KEY-----\nx\n", id="cut off"),
        pytest.param("schlüssel", id="not ASCII"),
    ],
)
def test_what_is_no_private_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="openssl genpkey") as told:
        signer_of(text)
    assert text not in str(told.value)


def test_a_private_key_is_not_taken_for_a_public_one_and_not_shown() -> None:
    text = pem(Ed25519PrivateKey.generate())
    with pytest.raises(ConfigError, match="quell audit key") as told:
        keyring([text])
    assert text not in str(told.value)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    assert signer_in(tmp_path) is None
    made = made_signer(tmp_path)
    assert made_signer(tmp_path).key_id == made.key_id
    found = signer_in(tmp_path)
    assert isinstance(found, Ed25519Signer)
    assert found.key_id == made.key_id
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [KEY_FILE]


def test_a_making_that_a_crash_cut_off_is_done_again(tmp_path: Path) -> None:
    (tmp_path / f".{KEY_FILE}.new").write_text("half")
    assert made_signer(tmp_path).key_id


def test_a_damaged_key_file_is_told_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("damaged")
    with pytest.raises(ConfigError, match=KEY_FILE):
        made_signer(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == "damaged"


def test_a_folder_that_takes_no_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no signing key can be made"):
        made_signer(tmp_path / "missing")


def test_a_file_holds_several_public_keys_in_either_spelling() -> None:
    one, two = (
        signer_of(base64.b64encode(SECRET).decode()),
        Ed25519Signer(Ed25519PrivateKey.generate()),
    )
    blocks = public_keys_in("# ours\n" + one.public_key + "\n" + two.public_key)
    assert len(blocks) == 2
    check = keyring(blocks)
    assert check is not None
    assert check(two.key_id, b"x", two.sign(b"x")) == "valid"
    raw = base64.b64encode(PUBLIC).decode()
    assert public_keys_in(f"\n{raw}\n  {raw}\n") == [raw, raw]
    assert public_keys_in("\n") == []


def test_without_keys_nothing_is_checked() -> None:
    assert keyring([]) is None


def test_a_key_is_known_in_every_spelling_from_when_it_is_read(tmp_path: Path) -> None:
    key = made_signer(tmp_path)
    text = (tmp_path / KEY_FILE).read_text()
    seed = base64.b64decode("".join(text.splitlines()[1:-1]))[-32:]
    for written in (text, base64.b64encode(seed).decode(), seed.hex()):
        assert KNOWN.masker.found(written) == "audit.signing_key"
        masked = KNOWN.mask(written)
        assert base64.b64encode(seed).decode()[4:-4] not in masked
        assert seed.hex()[:12] not in masked
    assert KNOWN.mask(key.public_key) == key.public_key
    assert KNOWN.mask(key.key_id) == key.key_id
