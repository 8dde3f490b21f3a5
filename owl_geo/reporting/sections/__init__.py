"""The report's sections, by who speaks in them: the run, the answers, the model, chance."""
