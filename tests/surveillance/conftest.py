"""The desk's staff are those of the back office."""

from tests.admin.conftest import chief

__all__ = ["chief"]
