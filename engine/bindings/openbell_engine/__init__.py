"""Openbell's order book: one packed batch of commands in, one packed batch of events out."""

from openbell_engine._engine import MatchingEngine, codes, command_layout, event_layout, limits

__all__ = ["MatchingEngine", "codes", "command_layout", "event_layout", "limits"]
