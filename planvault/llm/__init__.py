"""The way to language models: LiteLLM behind one port, and a scripted server for tests."""
