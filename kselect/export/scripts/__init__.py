"""What an exported folder runs: files that are copied into it, and need tokenizers, NumPy and a runtime alone."""
