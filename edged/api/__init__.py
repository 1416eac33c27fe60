"""HTTP on the Unix sockets: the Open Inference Protocol, edged's own endpoints, problem bodies.

``app`` composes it. Who is further left or above imports what is further right or below:

    requests that are no inferences    endpoints > description, metrics
    a connection and its inferences    connection > oip > http
    what the daemon has and says       event_log, ports, limits > documents
"""
