"""The night watch: one dark video of a fixed camera through all five methods, and what each step does for the next.

No paper: the only room besides the bench that puts the papers' packages together. scene (what is watched), chain (the
five steps), measure (their scores, with truth and without), effects (who helps whom), figures.
"""
