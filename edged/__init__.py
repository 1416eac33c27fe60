"""edged: signed AI models on Linux devices, served from a least-privilege daemon."""

__version__ = "0.1.0"
