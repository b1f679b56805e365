"""A request: the spec of a run, and the cells that it asks for."""
