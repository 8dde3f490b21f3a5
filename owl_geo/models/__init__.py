"""Classifiers of patches, and how they are built, kept and read back."""
