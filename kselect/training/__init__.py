"""The training loop: episodes, and what a library user calls."""
