"""A shop that bills its orders in the background: two programs and a worker. Begin with README.md."""
