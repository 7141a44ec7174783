"""Commands about whole images."""
