"""The paper's networks at their own size, on files of MNIST's format."""
