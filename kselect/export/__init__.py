"""From a trained model to files that run without PyTorch, and what that gains."""
