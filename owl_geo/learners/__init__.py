"""What learns from the answers and scores the pool; the loop knows them by one protocol."""
