"""A class of the user's own: its data, its model, its loss."""
