"""The keys that sign a repository, wherever they are kept."""
