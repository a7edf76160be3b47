"""A recording of every example at every training step."""
