"""What a selection policy does, and why: its selections over a run, how they differ, and what they react to."""
