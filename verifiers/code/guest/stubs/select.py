"""Stands for the C module that waits for files: none ever becomes ready, so that waiting is sleeping."""

import time

error = OSError


class _Select:
    """No function, so that a class may keep it as an attribute, as it may the C one."""

    def __call__(self, readers, writers, others, timeout=None):
        time.sleep(1e6 if timeout is None else timeout)
        return [], [], []


select = _Select()
