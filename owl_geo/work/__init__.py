"""Who does the pool's work, threads or a cluster, and how its progress is reported."""
