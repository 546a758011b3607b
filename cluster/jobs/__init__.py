"""Ray Data pipelines over retrieval's pure stages. The door; its furniture comes with the selection issue."""
