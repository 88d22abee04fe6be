"""The rooms of the brokerage, one app per question a trader, an accountant or a regulator asks."""
