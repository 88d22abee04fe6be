"""Version 2 of the trading protocol: one module a resource."""
