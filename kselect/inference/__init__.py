"""A trained model in use: answers to texts and to words, without a task's data."""
