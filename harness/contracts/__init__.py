"""What the author of a plugin meets: task, method, metric, preset, settings, errors, registries."""
