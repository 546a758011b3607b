"""The one composition root: builds pools and adapters inside each process; Ray adapters come in as arguments."""
