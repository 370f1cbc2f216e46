"""The public functions on NumPy arrays; what each computes is declared in `fastdrop.variants`."""
