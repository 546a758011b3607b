"""Executors: what runs a tool call. HTTP and native now; MCP and webhook have their place here."""
