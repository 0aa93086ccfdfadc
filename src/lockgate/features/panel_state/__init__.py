"""Features of the state of a key now, from its rows so far: remaining useful life and other questions of horizon 0."""
