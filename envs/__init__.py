"""The episode: a distillation run as a Gymnasium environment."""
