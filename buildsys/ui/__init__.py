"""What a person sees: diagnostics and progress. Makes text; printing is the command line's."""
