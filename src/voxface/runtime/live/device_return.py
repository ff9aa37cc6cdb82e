"""When a device that went away is back: a pure state machine that is fed with the lists of devices, one after another."""

from typing import Final

from voxface.runtime.live.device import Device

HINT_AFTER: Final = 3  # lists without the device, before it is said what could be used in its place


class DeviceReturn:
    """Waits for one device, and does not take another one of its name for it.

    Two devices of one model ("twins") have the same name by the same host API. One that was there all the while is not the one
    that went away. Where lists alone cannot tell which of them came back, `doubt` says so.

    Attributes:
        doubt: why the device that was returned may be another one; None: it is the one.
    """

    def __init__(self, device: Device, listed: list[Device]) -> None:
        """`listed`: the devices that were there when `device` was opened."""
        self._device = device
        twins = [d for d in listed if d.same(device)]
        # Several PCM devices of one card may share a name. Their number on the card stays, other than that of the card.
        card_mates = {d.hw[1] for d in twins if d.hw and device.hw and d.hw[0] == device.hw[0]}
        self._pcm = device.hw[1] if device.hw and len(card_mates) > 1 else None
        twins = [d for d in twins if self._fits(d)]
        self._twins = max(1, len(twins))
        self._place = next((k for k, d in enumerate(twins) if d == device), 0)
        self._others = {d.name for d in twins if d.name != device.name}
        self._stayed: set[str] | None = None  # names of twins that were in every list so far
        self._least = self._twins
        self._lists = 0
        self._hinted = False
        self.doubt: str | None = None

    def feed(self, listed: list[Device]) -> Device | None:
        """Takes the devices that are there now; returns the one that was waited for, None while it is away."""
        self._lists += 1
        here = [d for d in listed if self._fits(d)]
        names = {d.name for d in here}
        self._stayed = (self._others if self._stayed is None else self._stayed) & names
        self._least = min(self._least, len(here))
        self.doubt = None
        if not here:
            return None
        # Numbers of ALSA's cards tell twins apart; elsewhere only their order does.
        found = self._by_name(here) if self._others and len(names) == len(here) else self._by_place(here)
        if found is not None and self.doubt is not None:
            self.doubt = f"{found.name} ({found.host}, number {found.index}) is in use again; {self.doubt}"
        return found

    def hint(self, listed: list[Device]) -> str | None:
        """What could be used in place of the device while it is away; said once, else None."""
        if self._hinted or self._lists < HINT_AFTER:
            return None
        twin = next((d for d in listed if self._fits(d)), None)
        elsewhere = next((d for d in listed if d.stem == self._device.stem and d.host != self._device.host), None)
        use = twin or elsewhere
        if use is None:
            return None
        self._hinted = True
        what = "another one of this name is there" if twin else f"it is there by {use.host}"
        return f"waiting for {self._device.name} ({self._device.host}); {what}: --device {use.index} would use that"

    def _fits(self, device: Device) -> bool:
        return device.same(self._device) and (self._pcm is None or device.hw is None or device.hw[1] == self._pcm)

    def _by_name(self, here: list[Device]) -> Device | None:
        """Twins with names of their own: who was not there all the while may be the one."""
        stayed = self._stayed or set()
        arrived = [d for d in here if d.name not in stayed]
        if not arrived:
            return None
        found = self._own_name(arrived) or arrived[min(self._place, len(arrived) - 1)]
        if len(arrived) > 1 or stayed != self._others:
            self.doubt = "another one of this name was away too, and this may be that one"
        return found

    def _by_place(self, here: list[Device]) -> Device | None:
        if self._twins == 1:
            found = self._own_name(here) or here[0]
            if len(here) > 1:
                self.doubt = f"{len(here)} of this name are there, and this may be another one"
            elif self._least and found.name != self._device.name:
                self.doubt = "it has another number than before and was never seen to be away, so it may be another one"
            return found
        if len(here) >= self._twins:
            if self._least < self._twins:
                self.doubt = f"{len(here)} of this name are there, and this is the one at its place in the list"
            return here[self._place]
        if self._least:  # one that stayed cannot be told from one that came back
            return None
        self.doubt = "another one of this name was away too, and this may be that one"
        return here[min(self._place, len(here) - 1)]

    def _own_name(self, among: list[Device]) -> Device | None:
        return next((d for d in among if d.name == self._device.name), None)
