"""Front door 2: HTTP. Routes translate requests to the Studio facade and its errors to status codes, no more."""
