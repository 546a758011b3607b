"""Scenarios: which tools a prompt like this one needed before, by people's word or by what runs taught."""
