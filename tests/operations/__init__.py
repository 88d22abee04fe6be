"""The back office's acts on real books."""
