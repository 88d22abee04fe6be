"""Django's PostgreSQL engine, with a cheaper look at whether an idle session is still there."""
