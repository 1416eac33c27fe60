"""The cap on the frequency of processors: the daemon states a wish, and a unit that may do that alone carries it out."""
