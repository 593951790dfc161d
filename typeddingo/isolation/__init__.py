"""Tasks in child processes: what a worker and its child say to each other, and who looks after the children."""
