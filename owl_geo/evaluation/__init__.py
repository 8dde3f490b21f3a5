"""Ground truth, the held-out part, and searches in which the truth answers."""
