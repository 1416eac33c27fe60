"""A candidate in the shadow of the active version: it is asked what that one has answered, and nobody sees what it says."""
