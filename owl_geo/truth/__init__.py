"""The truth about each patch, if it is known, and which patches are held out to test models."""
