"""The ports made real: folders, S3, SQLite, DynamoDB, the Batches API, the simulator."""
