"""What concerns whole images: the methods that dense ones stand on."""
