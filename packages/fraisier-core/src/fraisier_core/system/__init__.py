"""What Fraisier asks of Linux: processes and commands, systemd's units, locks, disks and users."""
