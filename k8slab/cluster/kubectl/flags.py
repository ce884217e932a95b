"""kubectl's command line: which flags there are, and how words are read (spf13/pflag)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from k8slab.errors import Told


class Usage(Told):
    """A command line that kubectl does not understand; the message is what it prints."""


@dataclass(frozen=True, slots=True)
class Flag:
    """`--name`, or `-x`; `value`: whether it takes one."""

    name: str
    short: str = ""
    value: bool = False
    many: bool = False  # whether it may be given several times


@dataclass(slots=True)
class Line:
    """A command line as read: words without flags, and the flags' values, booleans as "true" or "false"."""

    command: str
    words: list[str] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def on(self, name: str) -> bool:
        """Whether a boolean flag was given and not as `=false`."""
        return self.flags.get(name, "false") == "true"

    def value(self, name: str, default: str = "") -> str:
        """The value of a flag."""
        return self.flags.get(name, default)


def _flags(text: str) -> tuple[Flag, ...]:
    """`output,o= watch,w` as flags: `=` takes a value, `*` several."""
    found = []
    for word in text.split():
        names = word.rstrip("=*").split(",")
        found.append(Flag(names[0], names[1] if len(names) > 1 else "", word[-1] in "=*", word.endswith("*")))
    return tuple(found)


EVERYWHERE = _flags("namespace,n= kubeconfig= context= server,s= request-timeout= v= help,h")
FILE = "filename,f* recursive,R"
FLAGS = {
    "get": _flags(f"output,o= all-namespaces,A selector,l= field-selector= watch,w watch-only no-headers show-labels "
                  f"show-kind label-columns,L* sort-by= ignore-not-found output-watch-events show-managed-fields "
                  f"chunk-size= {FILE}"),
    "describe": _flags(f"all-namespaces,A selector,l= show-events= chunk-size= {FILE}"),
    "delete": _flags(f"all all-namespaces,A selector,l= field-selector= force grace-period= ignore-not-found now "
                     f"output,o= wait= timeout= cascade= {FILE}"),
    "create": _flags(f"output,o= tcp* clusterip= node-port= external-name= dry-run= save-config {FILE}"),
    "apply": _flags(f"output,o= server-side dry-run= force-conflicts {FILE}"),
    "patch": _flags(f"patch,p= type= output,o= dry-run= {FILE}"),
    "label": _flags("overwrite all all-namespaces,A selector,l= field-selector= dry-run= output,o="),
    "api-resources": _flags("api-group= namespaced= no-headers output,o= sort-by= verbs= cached"),
    "events": _flags("all-namespaces,A for= types= no-headers output,o= watch,w"),
}


def read(command: str, words: Sequence[str]) -> Line:
    """Read the words after `kubectl COMMAND`.

    >>> line = read("get", ["svc", "-n", "default", "-owide", "--watch"])
    >>> line.words, line.flags
    (['svc'], {'namespace': 'default', 'output': 'wide', 'watch': 'true'})

    Raises Usage in kubectl's words for a flag that there is not, or that misses its value.
    """
    known = EVERYWHERE + FLAGS[command]
    line, rest = Line(command), list(words)
    try:
        while rest:
            word = rest.pop(0)
            if word == "--":
                line.words += rest
                break
            if word.startswith("--"):
                _long(word[2:], rest, known, line)
            elif word.startswith("-") and word != "-":
                _short(word[1:], rest, known, line)
            else:
                line.words.append(word)
    except Usage as error:
        raise Usage(f"error: {error}\nSee 'kubectl {command} --help' for usage.") from None
    return line


def _long(word: str, rest: list[str], known: Sequence[Flag], line: Line) -> None:
    name, equals, value = word.partition("=")
    flag = next((one for one in known if one.name == name), None)
    if flag is None:
        raise Usage(f"unknown flag: --{name}")
    if flag.value and not equals:
        if not rest:
            raise Usage(f"flag needs an argument: --{name}")
        value = rest.pop(0)
    _set(flag, value if flag.value or equals else "true", line)


def _short(letters: str, rest: list[str], known: Sequence[Flag], line: Line) -> None:
    whole = letters
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = next((one for one in known if one.short == letter), None)
        if flag is None:
            raise Usage(f"unknown shorthand flag: '{letter}' in -{whole}")
        if not flag.value:
            _set(flag, "true", line)
            continue
        if not letters and not rest:
            raise Usage(f"flag needs an argument: '{letter}' in -{whole}")
        _set(flag, letters.removeprefix("=") if letters else rest.pop(0), line)
        return


def _set(flag: Flag, value: str, line: Line) -> None:
    if flag.many:
        line.lists.setdefault(flag.name, []).append(value)
    else:
        line.flags[flag.name] = value
