"""The Speech page and what its script asks for."""
