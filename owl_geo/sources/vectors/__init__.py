"""Tables of vectors, one a place, as embeddings are published in GeoParquet."""
