"""From layers to one column per concept; every concept is declared, none is built in."""

UNKNOWN = "unknown"  # the category of a patch about which nothing is known
