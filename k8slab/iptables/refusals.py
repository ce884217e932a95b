r"""What the real iptables prints when it refuses a command, of our own error about the same mistake.

The words are those of iptables 1.8.9 (nf_tables); a test runs each command on the real program. Ours say more: they
stay what `RulesError` says, and are what a grader adds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from k8slab.errors import CommandError
from k8slab.iptables.command import COMMANDS, LONG
from k8slab.iptables.errors import RulesError

VERSION = "iptables v1.8.9 (nf_tables): "
USAGE, ARGUMENT, KERNEL, TABLE = 2, 1, 4, 3       # exit statuses (xshared.h, `enum xtables_exittype`)
TRY = "Try `iptables -h' or 'iptables --help' for more information."
WORDS_OF_COMMAND = {"-A": "RULE_APPEND", "-I": "RULE_INSERT", "-R": "RULE_REPLACE"}
INHIBITED = '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n'
INVALID = " {failed} failed (Invalid argument): rule in chain {chain}"

# Our sentence, and the word that it is about, as a pattern → the program's words, and its exit status. The first that
# fits is taken; "" before a program's words that its name and version do not head.
REFUSALS: tuple[tuple[str, str, str, int], ...] = (
    (r"--?.* is not (an option of this rule|a command)", VERSION, 'unknown option "{word}"', USAGE),
    (r".* is not (an option|a command)", "", "Bad argument `{word}'", USAGE),
    (r".{29,} is (not a chain of|too long for)", VERSION,
     "chain name `{word}' too long (must be under 29 chars)", USAGE),
    (r".* is not a chain of the table (?P<table>\w+);.* by -[LS]", VERSION,
     "chain `{word}' in table `{table}' is incompatible, use 'nft' tool.", ARGUMENT),
    (r".* is not a chain of", "", "iptables: No chain/target/match by that name.", ARGUMENT),
    (r".* is a chain already", "", "iptables: Chain already exists.", ARGUMENT),
    (r"(0|\D.*) is not the number", VERSION, "Invalid rule number `{word}'", USAGE),
    (r".* is not the number .* by -D", "", "iptables: Index of deletion too big.", ARGUMENT),
    (r".* is not the number .* by -R", "", "iptables: Index of replacement too big.", ARGUMENT),
    (r".* is beyond the end", "", "iptables: Index of insertion too big.", ARGUMENT),
    (r".*Bad rule", "", "iptables: Bad rule (does a matching rule exist in that chain?).", ARGUMENT),
    (r".* is neither a target nor a chain", VERSION, "Chain '{word}' does not exist", USAGE),
    (r"! is not an IPv4 address", "", "Bad argument `{after}'", USAGE),
    (r".* is not an IPv4 address.* of --to-", VERSION, 'Bad IP address "{word}"', USAGE),
    (r".* is (not an IPv4|an IPv6) address", VERSION, "host/network `{word}' not found", USAGE),
    (r".*/(?P<mask>.*) has a prefix length", VERSION, "invalid mask `{mask}' specified", USAGE),
    (r".* is not a protocol", VERSION, 'unknown protocol "{word}" specified', USAGE),
    (r".*:(?P<port>.*) is not a port.* of --to-", VERSION, "Port `{port}' not valid", USAGE),
    (r".* is not a port", VERSION, "invalid port/service `{word}' specified", USAGE),
    (r".* is a range that ends", VERSION, "invalid portrange (min > max)", USAGE),
    (r".* is not a table", VERSION,
     "table '{word}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.", TABLE),
    (r"DROP cannot (stand|be a policy) in the table nat|DROP cannot stand", VERSION, INHIBITED, USAGE),
    (r".* cannot (work|stand) in", VERSION, INVALID, KERNEL),
    (r"-m (?P<proto>tcp|udp|sctp) needs -p", VERSION, "{upper} match requires '-p {proto}'", USAGE),
    (r"MARK is given too little", VERSION,
     "MARK: One of the --set-xmark, --{{and,or,xor,set}}-mark options is required", USAGE),
    (r".* is given too little; it needs (?P<needs>--\S+)$", VERSION,
     '{word}: option "{needs}" must be specified\n', USAGE),
    (r".* with a port needs a protocol", VERSION, "Need TCP, UDP, SCTP or DCCP with port specification", USAGE),
    (r".* is not a policy", "", "iptables: Bad policy name. Run `dmesg' for more information.", ARGUMENT),
    (r".* is not a built-in chain", "", "iptables: Bad built-in chain name.", ARGUMENT),
    (r".* cannot be used with (?P<option>-[io]);", VERSION, "Can't use {option} with {word}\n", USAGE),
    (r"(?P<one>-\w) cannot be used with (?P<other>-\w); one command", VERSION, "Cannot use {one} with {other}", USAGE),
    (r".* is not a match", VERSION, "Couldn't load match `{word}':No such file or directory\n", USAGE),
    (r".* is (not empty|still referenced)", VERSION,
     " CHAIN_DEL failed (Device or resource busy): chain {word}", KERNEL),
    (r".* is a built-in chain; rules can jump", VERSION,
     " {failed} failed (Operation not supported): rule in chain {chain}", KERNEL),
    (r".* closes a loop", VERSION, " {failed} failed (Too many links): rule in chain {chain}", KERNEL),
    (r".* is (the last word|not complete)", VERSION, 'option "{word}" requires an argument', USAGE),
    (r".*no command is given", VERSION, "no command specified", USAGE),
    (r".* is a target's name", VERSION, "chain name may not clash with target name", USAGE),
    (r".* is a second target", VERSION, "multiple {word} flags not allowed", USAGE),
    (r".* is given twice", VERSION, "multiple {word} flags not allowed", USAGE),
    (r".* is not a conntrack state", VERSION, 'Bad ctstate "{word}"', USAGE),
    (r".* is not a probability", VERSION,
     'statistic: bad value for option "--probability", or out of range (0-1).\n', USAGE),
    (r".* is not a mark", VERSION, '{target}: bad integer value for option "{before}", or out of range.\n', USAGE),
)


def refused(error: RulesError, words: Sequence[str]) -> CommandError | RulesError:
    """What the real program says when it refuses this command; our own error where its words are not known.

    `words`: the command's, without the program's name.

    >>> from k8slab.iptables import Ruleset, run
    >>> words = "-t nat -D PREROUTING 1".split()
    >>> try:
    ...     run(Ruleset(), words)
    ... except RulesError as error:
    ...     print(refused(error, words))
    iptables: Index of deletion too big.
    """
    command, at = next(((LONG.get(word, word), at) for at, word in enumerate(words)
                        if LONG.get(word, word) in COMMANDS), ("", len(words)))
    word = error.word or ""
    found = words.index(word) if word in words else 0
    before, after = words[found - 1] if found else "", words[found + 1] if found + 1 < len(words) else ""
    said = f"{word} {error.problem}; {error.hint} by {command} of {before}".replace("; see", "").strip()
    for pattern, head, text, status in REFUSALS:
        if match := re.match(pattern, said if "by" in pattern or "of --" in pattern else said.split(" by ")[0]):
            facts = {"word": word, "before": before, "after": after, "chain": "".join(words[at + 1:at + 2]),
                     "failed": WORDS_OF_COMMAND.get(command, command), "target": _target(words), **match.groupdict()}
            facts["upper"] = facts.get("proto", "").upper()
            printed = head + text.format(**facts) + (f"\n{TRY}" if status == USAGE else "")
            return CommandError(printed, status=status)
    return error


def _target(words: Sequence[str]) -> str:
    return next((after for word, after in zip(words, words[1:]) if word in ("-j", "--jump")), "")
