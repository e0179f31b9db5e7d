"""The recipes docmill brings along, one Markdown file each."""
