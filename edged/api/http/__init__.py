"""HTTP/1.1, whatever is asked for: heads and bodies cut and judged, responses and problems written, one connection's deadlines."""
