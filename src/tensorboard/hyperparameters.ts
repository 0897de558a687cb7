/** Describes a run to TensorBoard's plugin for hyperparameters: its configuration at the start, its outcome at the end. */

import { flatten, type Leaf } from '../shared/config/flatten.js';
import type { ResolvedConfig } from '../shared/config/run-config.js';
import { influencesWeights } from '../shared/config/weight-influence.js';
import { messageType } from '../shared/files/protobuf.js';
import type { TimedEvent } from '../shared/runs/run-events.js';
import type { SummaryValue } from './event-file.js';

const dataType = messageType('hparams.proto', 'tensorboard.hparams.HParamsPluginData');

/** Values of the plugin's Status. */
const success = 1;
const failure = 2;

/** Returns the value to write at step 0 for this event; undefined for most events. */
export function hyperparametersOf(event: TimedEvent): SummaryValue | undefined {
  const seconds = event.timeMs / 1000;
  if (event.event === 'run') {
    const sessionStartInfo = {
      hparams: hyperparameters(event.config),
      // Runs of one group would be shown as repetitions of one trial.
      groupName: event.runId,
      startTimeSecs: seconds,
    };
    return summary('session_start_info', { sessionStartInfo });
  }
  if (event.event !== 'done' && event.event !== 'error') return undefined;
  const status = event.event === 'done' ? success : failure;
  return summary('session_end_info', { sessionEndInfo: { status, endTimeSecs: seconds } });
}

/** The fields that influence the weights, with their paths; a field without a value is left out. */
function hyperparameters(config: ResolvedConfig): Record<string, object> {
  const fields = Object.fromEntries(Object.entries(config).filter(([field]) => influencesWeights(field)));
  return Object.fromEntries(
    flatten(fields)
      .filter(([, value]) => value !== null)
      .map(([path, value]) => [path, valueOf(value)]),
  );
}

function valueOf(value: Leaf): object {
  if (typeof value === 'number') return { numberValue: value };
  return typeof value === 'boolean' ? { boolValue: value } : { stringValue: String(value) };
}

/** The plugin reads its data from the metadata of a value; the value itself is the empty tensor that TensorBoard writes there. */
function summary(name: string, data: object): SummaryValue {
  const content = dataType.encode(dataType.fromObject(data)).finish();
  return {
    tag: `_hparams_/${name}`,
    tensor: { dtype: 1, tensorShape: { dim: [{}] } },
    metadata: { pluginData: { pluginName: 'hparams', content } },
  };
}
