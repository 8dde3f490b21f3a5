"""What can be done with a run: one module per command, named after it; ``sites`` has several."""
