"""The run on disk: its folder, how it is made, and how it is told from others."""
