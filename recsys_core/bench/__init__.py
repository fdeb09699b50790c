"""Retrieval and ranking on any table of ratings: fit on one table, recommend to the users of another."""
