"""Models that this repository brings with it, each with its data's generator, its training and its recipe."""
