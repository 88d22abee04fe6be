"""Acts on trades: booking what the engine matched."""
