"""Classifiers of patches: how they are built, saved and loaded."""
