"""Where people are told and asked: chat tools."""
