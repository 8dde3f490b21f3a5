"""The settings of a run: what can be set, and reading and writing owl.toml."""
