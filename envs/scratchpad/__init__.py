"""The scratch pad: rows of cells with pointers, for a batch, and one pad without tensors."""
