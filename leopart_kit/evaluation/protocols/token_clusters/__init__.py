"""K-means on the tokens of a feature store, shared by protocols that cluster."""
