"""The SQL of order entry: one function that reads what is decided on, one that locks, verifies and writes."""

FACTS_SQL = """
SELECT * FROM entry_facts(%(account_id)s, %(symbol)s, %(client_order_id)s, %(trade_date)s, %(orders)s)
"""
"""One reading, without a lock, of all that risk needs; the ids of so many orders are drawn with it."""

WRITE_SQL = "SELECT entry_write(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
"""Sent outside a transaction it is one by itself: lock, verify, insert, commit, in one message.

The lock changes nothing, so the SERIALIZABLE runner never fails because of an entry. Lock and verification
are two statements inside, since a statement's snapshot is older than the lock it waits for.
"""
