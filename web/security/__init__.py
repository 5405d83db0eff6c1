"""Who may ask the page what: hosts, origins, the token, and what a request may cost."""
