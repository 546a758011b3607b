"""What is held about whom, and how it is told apart: pure parts of export and erasure."""
