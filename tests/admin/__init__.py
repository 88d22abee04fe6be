"""The back office's pages, as staff and others see them."""
