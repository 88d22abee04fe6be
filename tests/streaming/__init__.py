"""The sockets, through real servers where it matters."""
