"""Files that must survive a crash and stay private."""
