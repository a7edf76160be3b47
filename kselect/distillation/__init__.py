"""Distillation: a student's training steps under whatever selection it is given."""
