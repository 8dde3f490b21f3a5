"""What can be done with a run: a module for each thing, named after its command if it has one.

``sites`` and ``doctor`` have several; the other modules hold what several verbs share.
"""
