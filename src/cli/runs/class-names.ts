/** The class names of a run's data, which its log contains with the confusion matrix of each evaluation. */

import { systemCode } from '../../shared/errors.js';
import { readEvents } from '../../shared/runs/read-events.js';
import type { RunEvent } from '../../shared/runs/run-events.js';

/** Events that are not parsed. */
const others: readonly RunEvent['event'][] = [
  'step',
  'eval',
  'status',
  'misclassified',
  'histograms',
  'model',
  'scalars',
];

/** Empty if the classes have no names, or if the run has evaluated nothing. Cost: the log is read once. */
export async function readClassNames(run: string): Promise<readonly string[]> {
  let names: readonly string[] = [];
  try {
    for await (const event of readEvents(run, others)) if (event.event === 'confusion') names = event.classes;
  } catch (error) {
    // The folder of a model has no log.
    if (systemCode(error) === undefined) throw error;
  }
  return names.every((name, i) => name === String(i)) ? [] : names;
}
