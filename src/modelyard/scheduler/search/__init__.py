"""How one base run becomes many."""
