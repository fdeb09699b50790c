"""The assets, one module per stage; the module's name is the group that the UI shows."""
