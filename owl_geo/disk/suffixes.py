"""What files of a format are called, where several rooms go by the name."""

PARQUET = (".parquet", ".geoparquet", ".pq")
