import pytest

from benchmarks.masking import USUAL, deciding, masking


def test_each_text_has_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    masking(USUAL)
    told = capsys.readouterr().out
    for word in (f"{USUAL} secrets", "JSON", "log", "base64"):
        assert word in told


def test_deciding_is_timed_with_secrets_known() -> None:
    assert deciding(USUAL)() > 0
