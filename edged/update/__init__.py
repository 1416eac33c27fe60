"""Fetching, verifying and staging bundles."""
