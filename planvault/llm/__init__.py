"""The gateway over LiteLLM, with its recorded and scripted twins."""
