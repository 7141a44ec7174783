"""Features and intermediate results on disk, checked when they are opened."""
