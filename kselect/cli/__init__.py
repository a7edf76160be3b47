"""Command line: one small module a command, and the frame that reads settings for it."""
