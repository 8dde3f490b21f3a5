"""The settings of a run: what there is to set, and owl.toml in and out."""
