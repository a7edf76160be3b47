"""What an exported folder runs: these files are copied into it, and need onnxruntime, tokenizers and NumPy alone."""
