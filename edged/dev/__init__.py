"""All of edged's processes, unprivileged, in a directory of one's own."""
