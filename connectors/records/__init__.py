"""Where incidents leave their records: ticket trackers."""
