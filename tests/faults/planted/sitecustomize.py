"""On PYTHONPATH, gives a nightlabel process the faults that no test can cause from outside.

An image carries its own fault: bytes behind the picture, which every decoder ignores (`tests.faults.farm.plant`). A
fault of the process is named in the environment, as FAULT=NAME, and happens once for each file called NAME… that it can
remove from the folder $FAULTS: that many times, in whichever process comes first. With HEED_PERMISSIONS=1, the process
may read no more than any other user, even where root runs the tests.
"""

import ctypes
import importlib
import os
import signal
import struct
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec
from pathlib import Path

FAULTS = Path(os.environ.get("FAULTS", "/nonexistent"))
#: capset(2)'s version of its structures.
CAPABILITIES_V3 = 0x20080522


def kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def segfault():
    ctypes.string_at(0)


def hang_with_the_gil():
    """Wait for ever for a lock that is held already; no signal ends that, and PyDLL keeps the GIL meanwhile."""
    libc = ctypes.PyDLL(None)
    mutex = ctypes.create_string_buffer(128)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def take_all_memory():
    """Do as an allocator in C does that checks nothing: write to whatever malloc returned."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    while True:
        ctypes.memset(libc.malloc(64_000_000), 1, 64_000_000)


def heed_permissions():
    """Give up whatever root may do and others may not; the files of root stay its own."""
    ctypes.CDLL(None).capset(struct.pack("Ii", CAPABILITIES_V3, 0), bytes(24))


OF_IMAGES = {b"segfault": segfault, b"hang": hang_with_the_gil, b"memory": take_all_memory, b"kill": kill_this_process}


def happens(name):
    """Tell whether a fault is to happen now; each of its files makes it happen once."""
    if os.environ.get("FAULT") != name:
        return False
    for file in FAULTS.glob(f"{name}*"):
        try:
            file.unlink()
        except FileNotFoundError:  # another process was first
            continue
        return True
    return False


def instead_of(owner, name):
    """Put a function in place of another one, which it is given before the arguments."""
    really = getattr(owner, name)

    def put(function):
        def instead(*arguments):
            return function(really, *arguments)

        setattr(owner, name, instead)

    return put


def plant_in_labelling(module):
    @instead_of(module, "decode")
    def decode(really, data, *arguments):
        _, planted, name = data[-32:].rpartition(b"FAULT:")
        if planted:
            OF_IMAGES[name]()
        if happens("kill-while-labelling"):
            kill_this_process()
        time.sleep(float(os.environ.get("DECODE_S", "0")))
        if happens("stand-still"):
            while not (FAULTS / "go-on").exists():
                time.sleep(0.05)
        return really(data, *arguments)


def plant_in_reading(module):
    @instead_of(module, "_check")
    def check(really, descriptor, status, path, roots, *arguments):
        if happens("archive-goes"):
            os.rename(roots[0], f"{roots[0]}-gone")
        return really(descriptor, status, path, roots, *arguments)

    @instead_of(module, "_bytes")
    def read(really, descriptor, *arguments):
        if "never-answers" in os.readlink(f"/proc/self/fd/{descriptor}"):
            os.read(os.pipe()[0], 1)  # waits in the kernel, as for a share whose server is gone
        return really(descriptor, *arguments)


def plant_in_connecting(module):
    """Have a writer give a locked SQLite up after seconds that a test can wait."""
    module.SQLITE_BUSY_TIMEOUT_S = float(os.environ.get("BUSY_S", module.SQLITE_BUSY_TIMEOUT_S))


def plant_in_settings(module):
    """Have a disk count as silent, and workers as stalled, after seconds that a test can wait; no setting allows it."""
    module.SILENT_S = float(os.environ.get("SILENT_S", module.SILENT_S))
    if "STALL_S" in os.environ:
        module.Settings.stall_limit_s = property(lambda _settings: float(os.environ["STALL_S"]))


def plant_in_storing(module):
    @instead_of(module, "store")
    def store(really, *arguments):
        stored = really(*arguments)
        if happens("kill-after-commit"):
            kill_this_process()
        if happens("error-after-commit"):
            from common.errors import DatabaseBusyError

            raise DatabaseBusyError("planted: the connection broke before the answer came")
        return stored


def plant_in_outcomes(module):
    @instead_of(module, "_store")
    def store(really, *arguments):
        stored = really(*arguments)
        if happens("kill-before-commit"):
            kill_this_process()
        if happens("stop-before-commit"):
            os.kill(os.getpid(), signal.SIGSTOP)
        return stored


def plant_in_parenthood(module):
    """Let processes outlive their parent, as they do on systems other than Linux."""
    if os.environ.get("ORPHANS_LIVE"):
        module.die_with_parent = lambda _parent_pid: None


def plant_in_billiard(module):
    """The same for those that Celery's pool forks: it asks the kernel, too, to end them with their parent."""
    if os.environ.get("ORPHANS_LIVE"):
        module.set_pdeathsig = lambda _sign: None


def plant_in_process(module):
    @instead_of(module.WorkerProcess, "warm_up")
    def warm_up(really, process):
        time.sleep(float(os.environ.get("LOAD_S", "0")))
        if happens("crash-at-load"):
            kill_this_process()
        really(process)


def plant_in_engine(module):
    """Have the engine raise, by ENGINE_RAISES: `always`; at the `third` batch of each process; on a black `image`.

    Not when it is loaded: then it is no engine at all.
    """

    @instead_of(module.OpenVinoEngine, "classify")
    def classify(really, engine, batch):
        raises = os.environ.get("ENGINE_RAISES")
        engine.calls = getattr(engine, "calls", -1) + 1
        is_black = not batch.reshape(len(batch), -1).any(1).all()
        by_rule = {"always": True, "third": engine.calls == 3, "image": is_black}
        if engine.calls and (happens("engine-raises") or by_rule.get(raises)):
            raise RuntimeError("planted: the device is gone")
        probabilities = really(engine, batch)
        return probabilities * float("nan") if raises == "nan" and engine.calls else probabilities


def plant_in_app(module):
    """Have a message that is not acknowledged delivered again after seconds; no setting allows less than 10 minutes."""

    @instead_of(module, "make_app")
    def make_app(really, *arguments):
        app = really(*arguments)
        if "VISIBILITY_S" in os.environ:
            app.conf.broker_transport_options["visibility_timeout"] = float(os.environ["VISIBILITY_S"])
        return app


def plant_in_publishing(module):
    @instead_of(module, "publish")
    def publish(really, app, messages):
        messages = list(messages)
        if messages and happens("kill-before-publishing"):
            kill_this_process()
        if messages and happens("kill-amid-publishing"):
            really(app, messages[: len(messages) // 2])
            kill_this_process()
        really(app, messages)
        if messages and happens("kill-after-publishing"):
            kill_this_process()


def plant_in_celery(module):
    """Have Celery itself raise where it is handed a message."""

    @instead_of(module.Consumer, "create_task_handler")
    def create_task_handler(really, consumer):
        handle = really(consumer)

        def on_task_received(message):
            if happens("callback-raises"):
                raise KeyError("planted: of Celery's own")
            handle(message)

        return on_task_received


PLANTS = {
    "billiard.util": plant_in_billiard,
    "broker.app": plant_in_app,
    "common.child_process": plant_in_parenthood,
    "common.settings": plant_in_settings,
    "celery.worker.consumer.consumer": plant_in_celery,
    "producer.publish": plant_in_publishing,
    "models.engines.openvino": plant_in_engine,
    "worker.labelling": plant_in_labelling,
    "archive.places.local_file": plant_in_reading,
    "worker.storing": plant_in_storing,
    "storage.connecting": plant_in_connecting,
    "storage.outcomes": plant_in_outcomes,
    "worker.process": plant_in_process,
}


class Planting(Loader):
    """Loads a module as ever, and then plants faults in it."""

    def __init__(self, loader, plant):
        self._loader, self._plant = loader, plant

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._plant(module)


class Finder(MetaPathFinder):
    """Finds the modules that faults are planted in."""

    def find_spec(self, name, path=None, target=None):
        plant = PLANTS.pop(name, None)
        if plant is None:
            return None
        importlib.invalidate_caches()
        spec = find_spec(name)
        spec.loader = Planting(spec.loader, plant)
        return spec


sys.meta_path.insert(0, Finder())
if os.environ.get("HEED_PERMISSIONS"):
    heed_permissions()
