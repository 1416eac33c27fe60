"""The daemon, edged.service: decides which bundle is active, and answers for it."""
