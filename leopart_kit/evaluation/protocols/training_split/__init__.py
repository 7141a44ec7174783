"""Images of the split that a protocol learns from."""
