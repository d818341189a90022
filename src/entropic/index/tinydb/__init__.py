"""The default index: one plain TinyDB JSON file, one run per line."""
