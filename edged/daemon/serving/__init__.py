"""The versions that answer: their queues, their workers, and what stands in for them."""
