"""Bring-up: embedded Postgres, Ray, Serve config, actors, health; topology of names and resources."""
