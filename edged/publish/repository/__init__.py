"""The tree of static files that devices read: signed metadata, manifests, blobs."""
