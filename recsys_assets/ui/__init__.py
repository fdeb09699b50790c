"""Serve the Dagster UI on this machine: `recsys ui`.

`processes` starts and stops the three processes of the UI, each through `child_process`. One of them is `webserver`:
Dagster's application behind `request_guard`, which refuses requests of foreign web pages, on a server that gives each
connection a deadline.
"""
