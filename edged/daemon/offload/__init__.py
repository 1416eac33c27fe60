"""Requests that leave the device: to whom, how many, and what was seen of it."""
