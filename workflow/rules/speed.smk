"""Work that Snakemake repeats for every job although its result is the same for all of them."""

import functools
import inspect
import string
import tempfile
from snakemake.common import overwrite_function_params
from snakemake.resources import Resource


def signed(function):
    """Keep the parameters of a function, which Snakemake asks for again and again for every job."""
    overwrite_function_params(function, inspect.signature(function).parameters)
    return function


def sign_all():
    """Keep the parameters of all functions of wildcards."""
    for function in list(globals().values()):
        if inspect.isfunction(function) and "wildcards" in inspect.signature(function).parameters:
            signed(function)


# The same for the method with which Snakemake calls the functions of resources.
overwrite_function_params(Resource.evaluate, inspect.signature(Resource("", 0).evaluate).parameters)


def names_in(text):
    """Find the names that stand in braces in a text of a rule."""
    fields = (field for _, field, _, _ in string.Formatter().parse(text) if field)
    return {re.split(r"[.\[]", field)[0] for field in fields}


@functools.cache
def lighten():
    """Take away what every job would repeat, once all files of the workflow are read.

    For each text of each job, Snakemake copies all names of the workflow: a fifth of `snakemake -n`.
    Only the names that the texts use stay; functions keep theirs. It also evaluates the text that
    names the folder for temporary files. If another workflow uses this one as a module, nothing
    is changed.
    """
    if workflow.globals is not globals():
        return
    texts = [text for rule in workflow.rules for text in (rule.shellcmd, rule.message) if text]
    used = {"config"}.union(*map(names_in, texts))
    workflow.modifier.globals = {name: globals()[name] for name in used & set(globals())}
    folder = Resource(
        "tmpdir", signed(lambda wildcards: tempfile.gettempdir()), raw="system_tmpdir"
    )
    # The user may have named another folder.
    default = [r.resources for r in workflow.rules if r.resources.get("tmpdir").raw == folder.raw]
    for resources_of_rule in default:
        resources_of_rule["tmpdir"] = folder


def growing(base):
    """Make a resource function: memory (MB) or time (minutes), multiplied by the attempt."""

    @signed
    def value(wildcards, attempt):
        lighten()
        return base * attempt

    return value
