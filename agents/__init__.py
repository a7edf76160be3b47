"""Who decides: the agents that choose which knowledge to distil."""
