"""Speed as ratios: each figure is shown beside a baseline measured in the same run."""
