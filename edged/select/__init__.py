"""Which variant of a bundle fits, and why the others do not."""
