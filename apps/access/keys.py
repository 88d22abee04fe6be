"""How a key's secret is stored."""

import hashlib


def secret_hash(secret: str) -> str:
    """Hash a secret of 240 random bits: at that entropy one SHA-256 is enough and costs microseconds."""
    return hashlib.sha256(secret.encode()).hexdigest()
