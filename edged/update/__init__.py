"""Fetching, verifying and staging bundles.

Two processes do it, which share only what is in the last two folders. Who is further left or above imports what is further right or below:

    the updater, which is there for ever       service > lookout > waits
    a refresh, which runs once and ends        refresh > trust, traffic, download > origins
    both                                       freshness > protocol
"""
