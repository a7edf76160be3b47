"""Distillation: a student's training steps under given selections of knowledge."""
