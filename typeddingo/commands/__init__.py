"""What ``typeddingo`` can do, a command a file. Comes from ``cli``, goes to an app, its adapters or its processes."""
