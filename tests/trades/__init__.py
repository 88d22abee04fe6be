"""Tests of trades."""
