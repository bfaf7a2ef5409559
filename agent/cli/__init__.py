"""One file a family of commands: parse, call one function, print."""
