"""The full-screen frontend: ptpython's editor. prompt_toolkit and ptpython are known here alone."""
