"""Streams past one machine: the durable log between intake and pipeline."""
