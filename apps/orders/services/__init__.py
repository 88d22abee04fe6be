"""Acts on orders: entry, cancel and replace requests, and the controls of staff and the clock."""
