"""Drives the network part of the Engine API with docker-py and prints what it saw as JSON."""
import json
import sys
import time

import docker
from docker.errors import APIError, NotFound
from docker.types import EndpointConfig, IPAMConfig, IPAMPool, NetworkingConfig

client = docker.from_env()
api = client.api
seen = {"version": api.version()["ApiVersion"]}

pool = IPAMPool(
    subnet="10.70.0.0/16",
    iprange="10.70.4.0/24",
    gateway="10.70.0.254",
    aux_addresses={"printer": "10.70.4.1"},
)
network = client.networks.create(
    "py",
    driver="bridge",
    options={"com.docker.network.bridge.enable_icc": "true"},
    ipam=IPAMConfig(pool_configs=[pool]),
    check_duplicate=True,
    internal=False,
    labels={"made.by": "py"},
    attachable=True,
    scope="local",
)
seen["created"] = {
    key: network.attrs[key] for key in ("Name", "Driver", "Scope", "IPAM", "Labels", "Attachable", "Options")
}
client.networks.create("py-other", labels={"made.by": "py"})

seen["list"] = {
    "names": sorted(one.name for one in client.networks.list(names=["py"])),
    "ids": [one.name for one in client.networks.list(ids=[network.id])],
    "label": sorted(one.name for one in client.networks.list(filters={"label": "made.by=py"})),
    "driver": sorted(one.name for one in client.networks.list(filters={"driver": "null"})),
    "greedy": sorted(one.name for one in client.networks.list(names=["^py$"], greedy=True)),
}

settings = NetworkingConfig(
    {
        "py": EndpointConfig(
            api._version,
            aliases=["first"],
            ipv4_address="10.70.4.20",
        )
    }
)
box = api.create_container(
    "busybox",
    ["sleep", "3600"],
    name="py-box",
    host_config=api.create_host_config(network_mode="py"),
    networking_config=settings,
    stop_signal="SIGKILL",
)["Id"]
api.start(box)
other = client.networks.get("py-other")
other.connect(box, aliases=["second", "third"], links=[("py-box", "me")], driver_opt={"opt": "value"})
view = api.inspect_container(box)["NetworkSettings"]["Networks"]
seen["endpoints"] = {
    name: {key: view[name][key] for key in ("IPAMConfig", "Aliases", "Links", "DriverOpts", "IPAddress")}
    for name in ("py", "py-other")
}
network.reload()
seen["members"] = [one.name for one in network.containers]


def refused(what):
    try:
        what()
    except APIError as error:
        return [error.status_code, error.explanation, isinstance(error, NotFound)]
    return None


seen["refused"] = {
    "taken": refused(lambda: client.networks.create("py")),
    "missing": refused(lambda: client.networks.get("nosuch")),
    "active": refused(network.remove),
    "twice": refused(lambda: network.connect(box)),
}
other.disconnect(box)
seen["refused"]["outside"] = refused(lambda: other.connect("py-box", ipv4_address="10.71.0.1"))
network.disconnect(box, force=True)
api.remove_container(box, force=True)
seen["pruned"] = sorted(client.networks.prune(filters={"label": "made.by=py"})["NetworksDeleted"])
seen["empty"] = client.networks.prune(filters={"label": "made.by=py"})["NetworksDeleted"]
seen["events"] = [
    [event["Action"], event["Actor"]["Attributes"]["name"]]
    for event in client.events(
        since=int(sys.argv[1]), until=int(time.time()) + 1, filters={"type": "network"}, decode=True
    )
    if event["Actor"]["Attributes"].get("name", "").startswith("py")
]
json.dump(seen, sys.stdout)
