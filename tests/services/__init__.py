"""Real services for tests: PostgreSQL and Apache Kafka, each on free ports of 127.0.0.1."""
