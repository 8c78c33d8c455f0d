"""The doubles of Slack and Jira as pytest fixtures; tests/conftest.py names this as a plugin."""

from collections.abc import Iterator

import pytest

from tests.doubles.jira_server import JiraServer
from tests.doubles.slack_server import SlackServer


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def jira() -> Iterator[JiraServer]:
    with JiraServer() as server:
        yield server
