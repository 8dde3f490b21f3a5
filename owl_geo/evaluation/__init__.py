"""Simulated searches, in which ground truth answers, and comparisons of strategies by them."""
