"""Answers by location: which patches known sites answer, and with which class.

``files`` tells sites from answers to patches, ``features`` and ``classes`` say what those of vector
layers and of class rasters show, ``placed`` what became of them, ``answers`` which of that is new.
"""
