"""A search in memory: learn from the answers, score the pool, choose the next batch.

    answers -> learner (Reptile, fit) -> members -> terms -> batch, a part of it drawn at random

It reads only pixels from disk, and writes only the features that it keeps. Runs and the comparison
of strategies both use this code, so that what is compared is what is used. Every random number
depends on the run's seed, the round's number and a purpose, so that repeating a round gives the
same result.

``pool`` is what all rounds share, ``search`` what learns over it, ``choosing`` the next batch,
``rounds`` all of a round, ``quality`` how good its model is. ``review`` and ``like`` make batches
that the strategy does not choose.
"""
