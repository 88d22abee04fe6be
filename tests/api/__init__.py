"""The published API, through its real edge."""
