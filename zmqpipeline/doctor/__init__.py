"""Looks for what would keep a program from working, before it runs."""
