"""Measures of models and answers: uncertainty, quality, agreement, and what is left to find."""
