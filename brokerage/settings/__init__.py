"""Settings: ``base`` assembles the parts, each deployment differs from it in a few lines."""
