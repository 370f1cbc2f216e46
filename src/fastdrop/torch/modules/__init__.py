"""PyTorch modules: subclasses of PyTorch's own where it has them, and the family beyond."""
