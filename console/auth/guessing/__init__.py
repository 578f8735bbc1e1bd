"""What a wrong guess costs, and how many there may be. Rules without I/O, but for the turns."""
