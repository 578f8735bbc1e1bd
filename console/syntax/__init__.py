"""What a cell's text means, before anything of it runs. No I/O."""
