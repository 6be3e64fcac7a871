"""The command `demo`: a server of two pools that read digits, under traffic that changes; a worker of each dies."""
