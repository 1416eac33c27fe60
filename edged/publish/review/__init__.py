"""A bundle in words, for the person who decides whether to publish it. Pure."""
