"""A planner without a model: single calls and simple chains, from the shortlist, by words and types.

clauses → values → ranking and chains → composition. It knows English and schemas, and no particular service. What it
is not sure of it asks for (slots) or leaves alone; it never writes on weak evidence.
"""
