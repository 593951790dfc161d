"""Every system that is measured, one small file each; they run in environments of their own (``environments``).

A module here is imported by two processes, the caller (``python -m benchmarks.peers NAME``) and the system's own worker
command. Both find their servers in the environment variables that ``settings`` reads.
"""
