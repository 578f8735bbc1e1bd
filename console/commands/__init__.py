"""What can be said at the prompt beside Python: help, looking, patching, administering.

A command is a function with `console.interfaces.commands.command` before it, in any module of this
package: `console.commands.discovery` finds it, and nothing else has to be changed for it.
"""
