"""Wrong objects and wrong commands: Kubernetes' own words, and kubectl's status."""

from __future__ import annotations

import pytest

from k8slab.cluster import Cluster

LABEL_1035 = ("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
              "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
              "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")
DECODING = ('Error from server (BadRequest): error when creating "STDIN": Service in version "v1" cannot be handled '
            "as a Service: ")
PORT_RANGE = "provided port is not in the valid range. The range of valid ports is 30000-32767"


def service(spec: str, name: str = "web") -> str:
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{{spec}}}}}"


def invalid(field: str, said: str, kind: str = "Service", name: str = "web") -> str:
    return f'The {kind} "{name}" is invalid: {field}: {said}'


def endpoints(ip: str) -> str:
    return ("{apiVersion: v1, kind: Endpoints, metadata: {name: web}, subsets: [{addresses: [{ip: '" + ip
            + "'}], ports: [{port: 80}]}]}")


def piece(fields: str) -> str:
    return f"{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: web}}, {fields}}}"


# An object given to `kubectl create -f -`, and what is said.
OBJECTS = [
    (service(""), invalid("spec.ports", "Required value")),
    (service("ports: [{port: 70000}]"), 'The Service "web" is invalid: \n'
     "* spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive\n"
     "* spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
    (service("ports: [{port: 80}, {port: 81, name: b}]"), invalid("spec.ports[0].name", "Required value")),
    (service("ports: [{port: 80, name: a}, {port: 81, name: a}]"),
     invalid("spec.ports[1].name", 'Duplicate value: "a"')),
    (service("ports: [{port: 80, protocol: HTTP}]"),
     invalid("spec.ports[0].protocol", 'Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"')),
    (service("type: Foo, ports: [{port: 80}]"),
     invalid("spec.type", 'Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
             '"NodePort"')),
    (service("ports: [{port: 80}]", "9web"), invalid("metadata.name", f'Invalid value: "9web": {LABEL_1035}',
                                                     name="9web")),
    (service("clusterIP: 10.96.0.300, ports: [{port: 80}]"),
     invalid("spec.clusterIPs[0]", 'Invalid value: "10.96.0.300": must be a valid IP address, (e.g. 10.9.8.7 or '
             "2001:db8::ffff)")),
    (service("clusterIP: 10.96.0.1, ports: [{port: 80}]"),
     invalid("spec.clusterIPs", 'Invalid value: ["10.96.0.1"]: failed to allocate IP 10.96.0.1: provided IP is already '
             "allocated")),
    (service("clusterIP: 10.97.0.1, ports: [{port: 80}]"),
     invalid("spec.clusterIPs", 'Invalid value: ["10.97.0.1"]: failed to allocate IP 10.97.0.1: the provided network '
             "does not match the current range")),
    (service("ports: [{port: 80, nodePort: 30080}]"),
     invalid("spec.ports[0].nodePort", "Forbidden: may not be used when `type` is 'ClusterIP'")),
    (service("type: NodePort, ports: [{port: 80, nodePort: 80}]"),
     invalid("spec.ports[0].nodePort", f"Invalid value: 80: {PORT_RANGE}")),
    (service("portz: []"), DECODING + 'strict decoding error: unknown field "spec.portz"'),
    (service("ports: [{port: http}]"), DECODING + "json: cannot unmarshal string into Go struct field "
     "ServicePort.spec.ports.port of type int32"),
    (service("ports: {port: 80}"), DECODING + "json: cannot unmarshal object into Go struct field ServiceSpec.spec."
     "ports of type []v1.ServicePort"),
    (service("selector: {app: 7}, ports: [{port: 80}]"), DECODING + "json: cannot unmarshal number into Go struct "
     "field ServiceSpec.spec.selector of type string"),
    (endpoints("127.0.0.1"), invalid("subsets[0].addresses[0].ip", 'Invalid value: "127.0.0.1": may not be in the '
                                     "loopback range (127.0.0.0/8, ::1/128)", "Endpoints")),
    (piece("endpoints: []"), invalid("addressType", "Required value", "EndpointSlice")),
    (piece("addressType: IPv4, endpoints: [{addresses: [web]}]"),
     invalid("endpoints[0].addresses[0]", 'Invalid value: "web": must be a valid IPv4 address', "EndpointSlice")),
    (piece(f"addressType: IPv4, endpoints: [{'{},' * 1001}]"),
     invalid("endpoints", "Too many: 1001: must have at most 1000 items", "EndpointSlice")),
    (piece(f"addressType: IPv4, endpoints: [], ports: [{'{},' * 20001}]"),
     invalid("ports", "Too many: 20001: must have at most 20000 items", "EndpointSlice")),
    ("{apiVersion: v1, kind: Service, metadata: {name: kubernetes}, spec: {ports: [{port: 1}]}}",
     'Error from server (AlreadyExists): error when creating "STDIN": services "kubernetes" already exists'),
    ("{apiVersion: v1, kind: Service, metadata: {name: a, namespace: nowhere}, spec: {ports: [{port: 1}]}}",
     'Error from server (NotFound): error when creating "STDIN": namespaces "nowhere" not found'),
    ("{apiVersion: v2, kind: Service, metadata: {name: a}}",
     'error: resource mapping not found for name: "a" namespace: "" from "STDIN": no matches for kind "Service" in '
     'version "v2"\nensure CRDs are installed first'),
    ("{kind: Service}", 'error: unable to decode "STDIN": Object \'apiVersion\' is missing in \'{"kind": "Service"}\''),
    ("a: [", "error: error parsing STDIN: error converting YAML to JSON: yaml: line 1: did not find expected "
     "node content"),
]
COMMANDS = [
    ("get", 'You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of '
     'supported resources.\n\nerror: Required resource not specified.\nUse "kubectl explain <resource>" for a detailed '
     "description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples"),
    ("get frogs", 'error: the server doesn\'t have a resource type "frogs"'),
    ("get svc nosuch other", 'Error from server (NotFound): services "nosuch" not found\n'
     'Error from server (NotFound): services "other" not found'),
    ("get endpointslice nosuch", 'Error from server (NotFound): endpointslices.discovery.k8s.io "nosuch" not found'),
    ("get svc kubernetes -A", "error: a resource cannot be retrieved by name across all namespaces"),
    ("get svc kubernetes -l a=b", "error: name cannot be provided when a selector is specified"),
    ("get svc svc/kubernetes", "error: there is no need to specify a resource type as a separate argument when passing "
     "arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource "
     "resource/<resource_name>'"),
    ("get svc --frob", "error: unknown flag: --frob\nSee 'kubectl get --help' for usage."),
    ("get svc -z", "error: unknown shorthand flag: 'z' in -z\nSee 'kubectl get --help' for usage."),
    ("get svc -o", "error: flag needs an argument: 'o' in -o\nSee 'kubectl get --help' for usage."),
    ("get svc -o jsonpath={.spec", "error: error parsing jsonpath {.spec, unclosed action"),
    ("get svc --field-selector spec.frob=1", 'Error from server (BadRequest): Unable to find "v1, Resource=Service" '
     'that match label selector "", field selector "spec.frob=1": field label not supported: spec.frob'),
    ("delete svc", "error: resource(s) were provided, but no name was specified"),
    ("delete ns kube-system", 'Error from server (Forbidden): namespaces "kube-system" is forbidden: this namespace '
     "may not be deleted"),
    ("create", "error: must specify one of -f and -k"),
    ("create -f nosuch.yaml", 'error: the path "nosuch.yaml" does not exist'),
    ("create service clusterip a", "error: at least one tcp port specifier must be provided"),
    ("patch svc kubernetes", "error: must specify --patch or --patch-file containing the contents of the patch"),
    ("""patch svc kubernetes -p '{"spec":{"clusterIP":"10.96.0.7"}}'""",
     'The Service "kubernetes" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.0.7"]: may not change once set'),
    ("patch endpointslice kubernetes --type=merge -p addressType:\\ IPv6",
     'The EndpointSlice "kubernetes" is invalid: \n'
     '* endpoints[0].addresses[0]: Invalid value: "10.106.175.128": must be a valid IPv6 address\n'
     '* addressType: Invalid value: "IPv6": field is immutable'),
    ("gett", 'error: unknown command "gett" for "kubectl"\n\nDid you mean this?\n\tget\n\tset'),
]


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster(dns=False)


@pytest.mark.parametrize(("text", "said"), OBJECTS, ids=range(len(OBJECTS)))
def test_a_wrong_object_is_refused_in_kubernetes_words(cluster: Cluster, text: str, said: str) -> None:
    before = [one.key for one in cluster.store.range("/registry/")]
    answer = cluster.kubectl("create -f -", stdin=text)
    assert (str(answer), answer.out, answer.status) == (said, "", 1)
    assert [one.key for one in cluster.store.range("/registry/")] == before


@pytest.mark.parametrize(("command", "said"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_wrong_command_is_refused_in_kubectls_words(cluster: Cluster, command: str, said: str) -> None:
    answer = cluster.kubectl(command)
    assert (str(answer), answer.out, answer.status) == (said, "", 1)


def test_nothing_is_no_error(cluster: Cluster) -> None:
    for command, said in (("get pods", "No resources found in default namespace."),
                          ("get pods -n nowhere", "No resources found in nowhere namespace."),
                          ("get secrets -A", "No resources found"),
                          ("events", "No events found in default namespace.")):
        answer = cluster.kubectl(command)
        assert (answer.err.strip(), answer.out, answer.status) == (said, "", 0)


def test_what_is_found_is_printed_before_what_is_not(cluster: Cluster) -> None:
    answer = cluster.kubectl("get svc nosuch kubernetes")
    assert answer.out.startswith("NAME")
    assert str(answer).splitlines()[-1] == 'Error from server (NotFound): services "nosuch" not found'
    assert answer.status == 1


def test_nobody_answers_when_all_are_dead() -> None:
    cluster = Cluster(dns=False)
    cluster.api_servers["k8smaster"].crash()
    answer = cluster.kubectl("get svc")
    assert str(answer) == ("The connection to the server 10.106.175.128:6443 was refused - did you specify the right "
                           "host or port?")
    assert answer.status == 1


def test_a_range_that_is_full_says_so() -> None:
    cluster = Cluster(dns=False, service_cidr="10.96.0.0/29")
    for number in range(5):
        assert cluster.kubectl(f"create service clusterip s{number} --tcp=80").status == 0
    answer = cluster.kubectl("create service clusterip s5 --tcp=80")
    assert str(answer) == ("Error from server (InternalError): Internal error occurred: failed to allocate a "
                           "serviceIP: range is full")
    taken = [one["spec"]["clusterIP"] for one in cluster.objects() if one["kind"] == "Service"]
    assert sorted(taken) == [f"10.96.0.{number}" for number in range(1, 7)]


def test_another_range_gives_more() -> None:
    cluster = Cluster(dns=False, service_cidr="10.96.0.0/29")
    more = ("{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: more}, spec: {cidrs: "
            "[10.97.0.0/24]}}")
    assert str(cluster.kubectl("create -f -", stdin=more)) == "servicecidr.networking.k8s.io/more created"
    for number in range(6):
        assert cluster.kubectl(f"create service clusterip s{number} --tcp=80").status == 0
    assert "10.97.0." in str(cluster.kubectl("get svc"))
    cluster.kubectl("delete servicecidr more --wait=false")
    assert "more" in str(cluster.kubectl("get servicecidr"))
    cluster.kubectl("delete svc s0 s1 s2 s3 s4 s5")
    assert "more" not in str(cluster.kubectl("get servicecidr"))


def test_a_deleted_ipaddress_comes_back(cluster: Cluster) -> None:
    cluster.kubectl("delete ip 10.96.0.1 --wait=false")
    assert str(cluster.kubectl("get ip")).splitlines()[1].split() == ["10.96.0.1", "services/default/kubernetes"]
