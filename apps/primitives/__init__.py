"""Vocabulary that every storey shares: it holds no table and imports nothing of ours."""
