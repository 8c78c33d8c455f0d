"""Slack: one message per incident, kept up to date, and decisions by its buttons (Socket Mode)."""

from connectors.people.slack.approver import SlackApprover
from connectors.people.slack.notifier import SlackNotifier
from connectors.people.slack.web_api import SlackConfig

__all__ = ["SlackApprover", "SlackConfig", "SlackNotifier"]
