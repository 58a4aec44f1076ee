"""Who may log in: the files that say so, and those who must be asked (auth_query, LDAP, PAM)."""
