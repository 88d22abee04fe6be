"""What the tests share: the servers, small builders, and the whole platform as processes."""
