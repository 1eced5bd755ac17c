"""PyTorch networks of MSMorph: architectures, input geometry, inference and weight files."""
