"""The terminal in a real Chromium, on the whole platform with its demo market."""
