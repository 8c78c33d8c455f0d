"""Connectors: one file a system, strangers to each other, listed in registry.py."""
