"""The run on disk: its folder, how it is created, and how changes to it are detected."""
