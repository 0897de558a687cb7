"""Reads a folder of event files with TensorBoard's own reader and prints what it finds as JSON: python read-event-files.py DIR"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0})
events.Reload()
tags = events.Tags()
print(
    json.dumps(
        {
            "fileVersion": events.file_version,
            "scalars": {
                tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in tags["scalars"]
            },
            "histograms": {
                tag: [
                    {
                        "step": event.step,
                        "min": event.histogram_value.min,
                        "max": event.histogram_value.max,
                        "num": event.histogram_value.num,
                        "limits": list(event.histogram_value.bucket_limit),
                        "counts": list(event.histogram_value.bucket),
                    }
                    for event in events.Histograms(tag)
                ]
                for tag in tags["histograms"]
            },
            "graph": [
                {
                    "name": node.name,
                    "op": node.op,
                    "inputs": list(node.input),
                    "shape": [dim.size for dim in node.attr["_output_shapes"].list.shape[0].dim],
                }
                for node in (events.Graph().node if tags["graph"] else [])
            ],
        }
    )
)
