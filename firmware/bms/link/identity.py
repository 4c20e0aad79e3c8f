"""Who a pack is to the broker: topics, credentials, its MQTT client."""

from bms.link import cbor
from bms.link.mqtt import Mqtt
from bms.tables import signals


class Identity:
    """Who the pack is to the broker. Raises ValueError for a name that no topic can carry."""

    def __init__(
        self, tenant: str, site: str, pack: str, user: "str | None" = None, password: "str | None" = None
    ) -> None:
        for name in (tenant, site, pack):
            if not name or any(mark in name for mark in "/+#\0"):
                raise ValueError("identity: %r must be a name without / + # and not empty" % name)
        self.tenant = tenant
        self.site = site
        self.pack = pack
        self.user = user
        self.password = password

    def topic(self, leaf: str) -> bytes:
        """The topic of the pack's leaf."""
        return signals.topic(self.tenant, self.site, self.pack, leaf).encode()


def client(stream: object, identity: Identity, boot_id: int, random: object) -> Mqtt:
    """The pack's MQTT client over the board's stream: named after it, its will on the state topic."""
    will = cbor.encode({signals.BOOT_ID: boot_id, signals.ONLINE: 0})
    name = "%s-%s-%s" % (identity.tenant, identity.site, identity.pack)
    return Mqtt(stream, name, random, (identity.topic("state"), will, True), identity.user, identity.password)
