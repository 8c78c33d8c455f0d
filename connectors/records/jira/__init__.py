"""Jira: one issue per incident, found again by a label of its own."""

from connectors.records.jira.tracker import JiraConfig, JiraTracker

__all__ = ["JiraConfig", "JiraTracker"]
