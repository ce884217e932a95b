"""Kubernetes' own words for what is wrong with a value (apimachinery, pkg/util/validation)."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable

from k8slab.cluster.errors import Problem

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
VALUE = rf"({NAME})?"
# What a name may look like: expression, length, and what is said of another.
FORMS = {
    "label": (LABEL, 63, "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
              f"must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
              f"validation is '{LABEL}')"),
    "label-1035": (LABEL_1035, 63, "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
                   "with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
                   f"'abc-123', regex used for validation is '{LABEL_1035}')"),
    "subdomain": (SUBDOMAIN, 253, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
                  "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
                  f"for validation is '{SUBDOMAIN}')"),
    "value": (VALUE, 63, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
              "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
              f"'12345', regex used for validation is '{VALUE}')"),
    "key": (NAME, 63, "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
            "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            f"'{NAME}')"),
}
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
PORT = "must be between 1 and 65535, inclusive"
CHANGED = "may not change once set"
IMMUTABLE = "field is immutable"


def shown(value: object) -> str:
    """A bad value as the API quotes it: `"a"`, `70000`, `["10.96.0.9"]`."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def wrong(field: str, value: object, why: str) -> Problem:
    """The value may not be that.

    >>> print(wrong("spec.ports[0].port", 70000, PORT))
    spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive
    """
    return Problem(field, f"Invalid value: {shown(value)}: {why}")


def required(field: str, why: str = "") -> Problem:
    """The value is missing.

    >>> print(required("spec.ports"))
    spec.ports: Required value
    """
    return Problem(field, "Required value" + (f": {why}" if why else ""))


def unsupported(field: str, value: object, known: Iterable[str]) -> Problem:
    """The value is none of those that there are."""
    return Problem(field, f"Unsupported value: {shown(value)}: supported values: "
                   + ", ".join(f'"{one}"' for one in sorted(known)))


def duplicate(field: str, value: object) -> Problem:
    """The value is there twice."""
    return Problem(field, f"Duplicate value: {shown(value)}")


def not_allowed(field: str, why: str) -> Problem:
    """The field may not be used here."""
    return Problem(field, f"Forbidden: {why}")


def one_of(field: str, value: object, known: Iterable[str]) -> list[Problem]:
    """Nothing, or that the value is none of the known ones."""
    return [] if value in (known := tuple(known)) else [unsupported(field, value, known)]


def name_problems(field: str, value: object, form: str) -> list[Problem]:
    """What is wrong with a name of a form of FORMS.

    >>> [str(one)[:52] for one in name_problems("metadata.name", "Web", "label-1035")]
    ['metadata.name: Invalid value: "Web": a DNS-1035 labe']
    """
    expression, length, said = FORMS[form]
    text = str(value)
    found = [] if re.fullmatch(expression, text) else [wrong(field, value, said)]
    return found + ([wrong(field, value, f"must be no more than {length} bytes")] if len(text) > length else [])


def port_problems(field: str, value: object) -> list[Problem]:
    """Nothing for 1 to 65535."""
    value = value or 0
    return [] if isinstance(value, int) and 1 <= value <= 65535 else [wrong(field, value, PORT)]


def target_problems(field: str, value: object) -> list[Problem]:
    """What is wrong with a target port: a number, or the name of a container's port (an IANA service name)."""
    if isinstance(value, int):
        return port_problems(field, value)
    text, said = str(value), []
    if not re.fullmatch("[a-z0-9-]*", text):
        said.append("must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        said.append("must contain at least one letter (a-z)")
    if len(text) > 15:
        said.append("must be no more than 15 characters")
    return [wrong(field, value, one) for one in said]


def ip_problems(field: str, value: object) -> list[Problem]:
    """Nothing for an IP address of either family, written as usual."""
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return [wrong(field, value, IP)]
    return []


# Where an endpoint may not be: test of an address, and what is said (ValidateEndpointIP).
NO_ENDPOINT = (
    ("is_unspecified", "may not be unspecified (0.0.0.0 or ::)"),
    ("is_loopback", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
    ("is_link_local", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
    ("is_multicast", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
)


def endpoint_problems(field: str, value: object) -> list[Problem]:
    """What is wrong with the address of an endpoint.

    >>> print(*endpoint_problems("ip", "127.0.0.1"))
    ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
    """
    if found := ip_problems(field, value):
        return found
    address = ipaddress.ip_address(str(value))
    return [wrong(field, value, said) for test, said in NO_ENDPOINT if getattr(address, test)]
