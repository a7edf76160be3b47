"""Analysis of teachers before training, and of what a distillation did and why."""
