"""House rules that no off-the-shelf linter knows, each one with a test that plants a violation."""
