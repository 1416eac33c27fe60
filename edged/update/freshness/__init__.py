"""How new things are: what time it is, what a timestamp claims, and when the repository was last seen to be fresh."""
