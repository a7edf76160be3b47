"""Insight: what a teacher has to give, and why distilling it did what it did."""
