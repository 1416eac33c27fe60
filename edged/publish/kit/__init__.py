"""Validation kits: how they are made, and how a bundle's is run before it is published."""
