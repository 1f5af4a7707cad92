"""Villains: the honest machine plus one lie each."""
