"""Pictures of a run, and its report as one HTML file, for those who do not run commands."""
