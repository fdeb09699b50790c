"""The product's own stages on anybody's data: fitted on one table, asked about the users of another."""
