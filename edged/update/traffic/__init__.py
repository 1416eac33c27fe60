"""The bytes that come: how many may, how fast they do, and how many came on each day."""
