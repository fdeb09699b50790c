"""What starts runs: jobs by hand, sensors and schedules by themselves, and automation conditions asset by asset."""
