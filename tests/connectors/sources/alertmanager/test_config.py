"""Which settings the Alertmanager source refuses, and that it shows none of its secrets."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources.alertmanager import AlertmanagerConfig


@pytest.mark.parametrize(
    "settings",
    [
        {"bearer": [""]},
        {"basic": [{"user": "am", "password": ""}]},
        {"basic": [{"user": "a:m", "password": "x"}]},
        {"name": "No Spaces"},
        {"max_body_mib": 0},
        {"tokens": ["x"]},
    ],
    ids=str,
)
def test_a_setting_that_would_let_everybody_in_or_means_nothing_is_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        AlertmanagerConfig.model_validate(settings)


def test_credentials_show_nowhere() -> None:
    config = AlertmanagerConfig.model_validate(
        {"bearer": ["new-token"], "basic": [{"user": "am", "password": "new-token"}]}
    )
    assert "new-token" not in repr(config)
