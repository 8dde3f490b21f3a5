"""A process that stays: a run kept open from round to round, and its requests as JSON-RPC."""
