"""The version of a piece of code, which changes with its behaviour and not with its formatting.

A function's version hashes what remains of the program when everything is taken out that cannot change its result,
together with its parameters and the versions of the libraries. Sources are read and parsed, never imported, so that
definitions load fast. `version` holds the way in, `reach` what counts, `program` how names lead from module to
module, `source` the modules on the disk, `syntax` what a statement names and does.

What counts:

1. The function, without its decorators, and every definition of ours that it names, that these name, and so on:
   across modules, through aliases, re-exports and `import *`, and with the imports on the way. Any name counts as one
   of the module, even where it is a local variable. A class counts as a whole, a name with all statements that bind
   it.
2. What every module does when it is imported, if an import on the way runs it: calls, loops, `X.append(...)`, `X[...]
   = ...`, `module.name = ...`, `del`, and decorators of libraries that are not known only to wrap.
3. A statement that only binds a name, if what it calls at import leads to a value that counts, since it may change
   it: `KEPT = register(f)`, `TABLE = Table("a", METADATA)`, a decorator, a default, a class body.
4. All of a module where it can't be told what is named: the module itself is used as a value, as by `getattr(module,
   name)` or `vars(module)`; a name is read that it does not bind; its code uses `globals()`, `eval`, `sys.modules`
   and the like. A string in such code that names a module of ours counts as that module. A package counts with all
   modules below it.
5. All classes of the modules that are imported, where one of these has `__subclasses__`, `__init_subclass__`,
   `__set_name__` or a metaclass.
6. For an argument of a class of ours: what in the module of that class returns such objects, since one of these made
   it.
7. The order in which all this runs, save functions, imports and what is computed from nothing of ours.

Settings, which are classes in modules named `config`, count without their fields as long as they are named in
annotations or as bases there: the values in force are the parameters. Code that names one elsewhere may build it with
the defaults, so then the fields count. Methods, validators and constants of these modules always count.

Left out on purpose: comments, formatting, docstrings and `description=` texts; blocks under `TYPE_CHECKING`;
environment variables, hardware and data files; libraries beyond their version, and what they remember of a call whose
result is bound to a name; modules imported by a computed name; what operators and attributes do at import; neighbours
outside the packages that are followed, as the code that stores assets. An edit that makes a module fail to load
leaves no result that could be wrong. The sources count as they are on the disk, not as a running process loaded them.
"""

from recsys_core.fingerprint.version import code_version, definitions_reached, library_version

__all__ = ["code_version", "definitions_reached", "library_version"]
