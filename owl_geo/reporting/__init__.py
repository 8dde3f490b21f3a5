"""Pictures of a run, and its report as a single HTML file, for people who do not run commands."""
