"""The terminal's views: each parses, calls one service or a few selectors, and renders."""
