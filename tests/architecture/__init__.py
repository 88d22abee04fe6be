"""What keeps the house in order: storeys, tidiness, and the catalogue of tables."""
