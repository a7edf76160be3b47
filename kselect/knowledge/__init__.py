"""Kinds of knowledge that a teacher can transfer, one family per file."""
