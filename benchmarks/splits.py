"""Splits side by side, kept on disk where the user says so."""

from inspect import signature

from joblib import Memory, Parallel, delayed


def kept(function, options):
    """Return the function with its results kept in the folder ``--keep``, if any.

    A result is taken from the folder when the function is called again with the same
    arguments, whatever the number of seeds. Options are not compared: a quick run has a
    folder of its own.
    """
    if options.keep is None:
        return function
    folder = options.keep / ("quick" if options.quick else "whole")
    ignore = [name for name in signature(function).parameters if name == "options"]
    return Memory(folder, verbose=0).cache(function, ignore=ignore)


def side_by_side(function, jobs, options):
    """Return the results of a function for each job, a tuple of its arguments."""
    function = kept(function, options)
    return Parallel(n_jobs=options.jobs)(delayed(function)(*job) for job in jobs)
