"""The pages inside the MLflow server: what is live, the review queue, each version, and forms that act."""
