"""What answers the requests that are no inferences, one module for each matter."""
