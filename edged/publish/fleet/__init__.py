"""What publishers say to a whole fleet, as changes of its documents: pure, and knowing nothing of repositories and keys."""
