"""What templates show, prepared from the views that selectors return."""
