"""Acts of the back office: funding, settlement, the day's upkeep, and the market's controls."""
