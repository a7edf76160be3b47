"""Runs, kept and compared."""
