"""What a run achieved, from the files it left: figures with intervals, as a table or as JSON."""
