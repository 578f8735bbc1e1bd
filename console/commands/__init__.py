"""What can be said at the prompt beside Python: help, looking, patching, administering."""
