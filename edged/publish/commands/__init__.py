"""The verbs of edge-publish, one module each; a verb that has actions is a folder with one module for each of them."""
