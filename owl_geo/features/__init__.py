"""A patch as a row of numbers, computed once for the whole pool and kept."""
