"""Who does the pool's work, threads or a cluster, and what is told of its progress."""
