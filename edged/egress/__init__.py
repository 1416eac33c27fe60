"""The gate: the only process that may open IP connections."""
