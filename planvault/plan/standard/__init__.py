"""The bodies of the standard functions, by what they work on. `planvault.plan.functions` lists them."""
