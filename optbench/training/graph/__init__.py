"""A whole step as one CUDA graph: noted once, and then repeated by one call."""
