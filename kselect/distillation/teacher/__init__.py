"""Teacher outputs on disk: a folder of entries, an entry of arrays."""
