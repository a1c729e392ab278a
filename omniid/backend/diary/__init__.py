"""The desktop's calendars, read and never written.

events    what is read: appointments as the user's own clock has them
reading   PURE: the bytes of one file and a span of time in; appointments out
files     the folders' files, within bounds
__main__  the child process that does it: a file that nobody can read in time hangs nothing but itself
shelf     asks the child, under a deadline
"""
