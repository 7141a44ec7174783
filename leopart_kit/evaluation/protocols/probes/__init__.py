"""Heads that are trained on frozen tokens, shared by `linear` and `fcn`."""
