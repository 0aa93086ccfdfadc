"""Numbers about live predictions: errors against the truth, coverage, drift, and the rules that raise an alert."""
