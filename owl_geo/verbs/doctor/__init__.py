"""What is wrong with this installation, or with a run: a series of independent checks.

``findings`` runs them, ``installation`` and ``of_run`` hold them. Nothing heavy is imported before
the check that concerns it, so that whoever prints findings as they arrive has something to show at
once.
"""
