"""The units of systemd that run jobs: what they are, whether they are installed, and when they fire."""
