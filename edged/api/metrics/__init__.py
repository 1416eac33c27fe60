"""What was counted and measured, written for Prometheus."""
