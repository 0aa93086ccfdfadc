"""One file for each thing that a person or a stage does: register, validate, promote, predict, ..."""
