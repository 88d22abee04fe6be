"""Template filters and tags of the terminal."""
