"""Sessions: one principal at one terminal, and the manager that knows them all."""
