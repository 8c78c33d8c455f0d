"""Which certificates a client believes."""

import ssl
from pathlib import Path

import pytest

from engine.client.trust import only, signed_by
from engine.errors import ConfigError
from tests.services.certificates import Authority


def test_of_a_chain_only_the_server_s_own_certificate_counts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("quell")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(own.certificate.read_bytes() + authority.certificate.read_bytes())
    context = only(chain)
    assert context.cert_store_stats()["x509"] == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.check_hostname


def test_an_authority_s_servers_are_believed_by_their_names(tmp_path: Path) -> None:
    context = signed_by(Authority(tmp_path).certificate)
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("trust", [only, signed_by])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, trust: object) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    for path in (nothing, tmp_path / "none.pem"):
        assert callable(trust)
        with pytest.raises(ConfigError, match=str(path)):
            trust(path)
