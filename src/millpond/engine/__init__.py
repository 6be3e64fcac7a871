"""Makes workers exist: as processes of this machine, which a warden forks and reaps."""
