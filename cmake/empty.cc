// A module that has headers only still needs one source to be a library.
