"""Acts and readings of the audit trail: verifying, archiving."""
