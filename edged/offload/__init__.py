"""Offload: answers from an endpoint outside of the device, by a process of its own, only with consent and permission."""
