"""What can be done with a run: a file per thing, named as its command is."""
