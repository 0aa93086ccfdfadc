"""What is forecast: params.yaml, metrics, confidence levels."""
