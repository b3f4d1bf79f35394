"""The state behind the HTTP service: characters (voices with a configuration), their jobs, and spoken requests."""
