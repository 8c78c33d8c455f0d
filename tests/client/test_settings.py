"""What the environment tells a client."""

import pytest

from engine.client.settings import client_settings
from engine.ports.known_secrets import KNOWN

SECRET = "hunter2-and-more"


def test_the_client_is_told_its_server_by_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("QUELL_SERVER", raising=False)
    monkeypatch.delenv("QUELL_TOKEN", raising=False)
    assert (client_settings().server, client_settings().token) == ("", "")
    monkeypatch.setenv("QUELL_SERVER", "http://q:1")
    monkeypatch.setenv("QUELL_TOKEN", SECRET)
    assert (client_settings().server, client_settings().token) == ("http://q:1", SECRET)
    assert SECRET not in repr(client_settings())
    assert KNOWN.masker.found(SECRET) == "QUELL_TOKEN"
