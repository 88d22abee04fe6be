"""Every database alias, for tests that may touch them all."""

DATABASES = ["default", "owner", "marketdata", "marketdata_owner"]
