"""One module per third-party library; library types and exceptions stop here."""
