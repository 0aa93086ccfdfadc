"""What is forecast: the table of columns, params.yaml, metrics, confidence levels."""
