"""An ablation of the levels of knowledge in a teacher's targets."""
