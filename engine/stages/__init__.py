"""Effects: async, through ports only; each stage is a stranger to the others."""
