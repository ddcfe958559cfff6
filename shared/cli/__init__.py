"""What commands share: lines on standard output, progress, files, locks, and checks."""
