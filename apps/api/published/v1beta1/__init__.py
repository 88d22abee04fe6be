"""Version 1 beta 1 of the data protocol: screeners and news."""
