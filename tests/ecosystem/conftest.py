"""What runs in the environment of the libraries, in processes of its own, is not collected here."""

collect_ignore = ["programs", "suite"]
