"""One integration a file; each exports plain Django settings made from the environment."""
