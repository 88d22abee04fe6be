"""The protocol that published clients speak, one folder a version."""
