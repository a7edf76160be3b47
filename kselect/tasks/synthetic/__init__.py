"""Generated tasks: grammars whose labels are known."""
