"""What is known of each patch beforehand, and which patches are held out to judge models by."""
