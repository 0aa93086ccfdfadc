"""A generated chain of stores with a known noise floor."""
