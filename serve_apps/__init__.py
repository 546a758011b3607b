"""Ray Serve applications: api (ingress), embedder, planner."""
