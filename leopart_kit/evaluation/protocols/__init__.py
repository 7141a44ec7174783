"""Protocols, each found by the name of its file."""
