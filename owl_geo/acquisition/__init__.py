"""Probabilities and concepts in, ranks out: scoring and choosing, as two steps."""
