"""What a pool's core is run against without processes: a model of a worker."""
