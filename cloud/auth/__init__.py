"""Who may call what: bearer tokens, roles and tenants."""
