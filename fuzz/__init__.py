"""Coverage-guided fuzzing of what strangers hand in: ``python -m fuzz NAME``; see ``targets``."""
