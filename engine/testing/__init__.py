"""Suites for authors of connectors outside quell: they need pytest, and the product needs none."""

import pytest

pytest.register_assert_rewrite("engine.testing.action_contract")
