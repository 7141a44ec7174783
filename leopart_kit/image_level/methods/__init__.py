"""Image-level methods, each found by the name of its file."""
