"""The verbs of edge-publish, one module each."""
