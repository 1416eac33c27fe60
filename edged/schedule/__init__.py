"""Which request is next, and with which others. Pure."""
