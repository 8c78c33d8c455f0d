"""Actions that change or read the world: one file a system."""
