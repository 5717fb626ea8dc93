"""Writes tests/fixtures/tensorboard_events.tfevents: events as tensorboard's own classes encode and frame them.

The oracle of engine/train/src/tensorboard.rs. Run from the repository's root with tensorboard 2.21.0, protobuf 7.36.2:
    python tests/oracles/tensorboard_events.py
"""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

WALL_TIME = 1_700_000_000.125
SCALARS = [("reward/mean", 0.25), ("grad_norm/größe", -1.5e-7), ("x" * 150, 3.4028234663852886e38)]


def scalars(step, values):
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values])
    return Event(wall_time=WALL_TIME, step=step, summary=summary)


def main():
    path = Path(__file__).parent.parent / "fixtures" / "tensorboard_events.tfevents"
    start = SessionLog(status=SessionLog.START)
    events = [
        Event(wall_time=WALL_TIME, file_version="brain.Event:2"),
        Event(wall_time=WALL_TIME, step=301, session_log=start),
        Event(wall_time=WALL_TIME, session_log=start),
        scalars(301, SCALARS),
        scalars(1 << 40, SCALARS[:1]),
    ]
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()


if __name__ == "__main__":
    main()
