"""What durable execution costs, beside the libraries that people would otherwise pick, in one run on one machine."""
