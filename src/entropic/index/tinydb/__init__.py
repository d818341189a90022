"""tinydb."""
