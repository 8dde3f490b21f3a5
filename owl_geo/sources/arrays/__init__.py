"""TESSERA's tiles in NumPy arrays: vectors in int8, their scales, and the mask that places them."""
