"""Ray Data pipelines over the stages of planvault.ingestion.bulk: reading, storing and embedding many documents."""
