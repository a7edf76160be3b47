"""Models: load, shrink, and read the outputs that knowledge needs."""
