"""The outside services, one file each: they import nothing of ours and know no tables."""
