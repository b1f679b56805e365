"""Is a task fit for a comparison? One finding a check, each with what to do about it."""
