"""HTTP on the Unix sockets: the Open Inference Protocol, edged's own endpoints, problem bodies."""
