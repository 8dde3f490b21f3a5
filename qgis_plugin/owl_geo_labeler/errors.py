"""The one kind of error that the plugin shows instead of a stack trace."""


class Problem(Exception):
    """Something the analyst can fix: one line that says what is wrong, where, and what to do."""


class NoBatch(Problem):
    """There is nothing to label yet."""
