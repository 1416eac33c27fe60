"""The tensor socket: connections that are lent to workers."""
