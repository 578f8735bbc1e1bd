"""The commands, which a user can call in addition to Python: help, inspection, patches, sessions.

A command is a function with the decorator `console.interfaces.commands.command`, in any module of
this package. `console.commands.discovery` finds it; no other file has to be changed.
"""
