"""What a pool did in a span of time as one file that can be kept and sent: the figures, put into `millpond.report`."""
