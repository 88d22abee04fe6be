"""Measurements that anyone can repeat: each prints its figures and writes them to ``var/bench``."""
