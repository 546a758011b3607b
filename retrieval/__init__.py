"""Tool selection: documents, embeddings, tiers and the shortlist."""
