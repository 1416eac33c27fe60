"""The Open Inference Protocol: an inference from its head to its response, and what bodies are made of."""
