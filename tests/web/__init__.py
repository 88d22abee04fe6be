"""Tests of the terminal's pages and of what they post."""
