"""What starts runs: jobs by hand; sensors, schedules and automation conditions by themselves."""
