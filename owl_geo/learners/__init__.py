"""Learners, which learn from the answers and score the pool, behind one protocol."""
