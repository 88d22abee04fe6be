"""Events in Kafka: the topics on the brokers, the relay's sink, and whether everything is there."""

SINK = "kafka"
"""The name of the relay's sink, and of its cursor."""
