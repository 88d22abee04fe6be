"""The supervisor, the front and the environment, tried with real servers, sockets and signals."""
