"""The page `/docs`: a server's operations for people, with forms to try them. It loads nothing from elsewhere."""
