"""Callers and workers in processes of their own, over every mixture of brokers and backends."""
