"""``make bench``: what serving costs beside running a model in one's own process, measured side by side in one run."""
