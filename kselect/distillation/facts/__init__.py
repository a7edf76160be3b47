"""Facts of a run that decide what is worth learning from, measured before its first training step."""
