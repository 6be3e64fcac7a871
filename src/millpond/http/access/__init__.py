"""Who may ask: tokens, roles, cookies, hosts, origins, and the pages for logging in."""
