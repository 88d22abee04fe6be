"""A leader's heart and a standby's ear: beats over UDP by a native thread, apart from the order book."""

from openbell_engine._heartbeat import Ear, Heart

__all__ = ["Ear", "Heart"]
