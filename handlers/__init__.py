"""Everything that starts docmill: the Lambda functions and the command line."""
