"""The sockets: the terminal's, the trade updates', the market data's."""
