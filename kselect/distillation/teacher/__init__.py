"""Outputs of teachers on training examples, computed live or cached on disk."""
