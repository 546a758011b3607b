"""The plan language: `json` and `dsl` parse to the IR; resolve, validate, render, evaluate. Pure."""
