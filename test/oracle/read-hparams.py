"""Prints as JSON what TensorBoard's own plugin for hyperparameters answers for a folder: python read-hparams.py LOGDIR"""

import json
import sys

from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

logdir = sys.argv[1]
multiplexer = EventMultiplexer()
multiplexer.AddRunsFromDirectory(logdir)
multiplexer.Reload()
provider = MultiplexerDataProvider(multiplexer, logdir)
backend = Context(TBContext(logdir=logdir, multiplexer=multiplexer, data_provider=provider))
request_context = context.RequestContext()
hparams = backend.hparams_metadata(request_context, "")
experiment = get_experiment.Handler(
    request_context, backend, "", api_pb2.GetExperimentRequest(include_metrics=True)
).run()
statuses = list(api_pb2.Status.values())
request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100, allowed_statuses=statuses)
answer = list_session_groups.Handler(request_context, backend, "", request).run()


def metric(value):
    return {"folder": value.name.group, "tag": value.name.tag, "value": value.value, "step": value.training_step}


print(
    json.dumps(
        {
            "hyperparameters": [info.name for info in experiment.hparam_infos],
            "metrics": [[info.name.group, info.name.tag] for info in experiment.metric_infos],
            "groups": [
                {
                    "name": group.name,
                    "hyperparameters": {
                        name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()
                    },
                    "metrics": [metric(value) for value in group.metric_values],
                    "sessions": [
                        {
                            "name": session.name,
                            "status": api_pb2.Status.Name(session.status),
                            "start": session.start_time_secs,
                            "end": session.end_time_secs,
                        }
                        for session in group.sessions
                    ],
                }
                for group in answer.session_groups
            ],
        }
    )
)
