"""Where things lie and who may write there."""
