"""Version 1 of the data protocol: what companies do to their shares."""
