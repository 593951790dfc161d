"""How a worker calls the function, and how a caller turns return values back into the annotated types."""
