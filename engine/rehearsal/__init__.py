"""A stage for rehearsals: time that passes by script, calls that do nothing, a log in memory."""
