"""What an attacker may write into a queue, and what a log may never hold."""
