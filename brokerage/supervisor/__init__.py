"""Start, watch and stop the platform on one machine, with its own PostgreSQL and Valkey if none is given."""
