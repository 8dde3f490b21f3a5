"""Speed as ratios: each figure stands beside a baseline that is measured in the same run."""
