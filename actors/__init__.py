"""Plain classes that live in Ray actors; `classes` wraps them with ray.remote, `handles` finds them by name."""
