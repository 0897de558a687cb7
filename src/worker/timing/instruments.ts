/** The instruments of one generation: the clock that is always on, the tracer, and a communicator that they watch. */

import type { CollectiveRegistrar, Communicator } from '../communicator/communicator.js';
import { reportingFaultPoints, type OnFaultPoint } from '../faults/fault-points.js';
import { StepPartClock } from './step-part-clock.js';
import { measuringWaits, Tracer, type Measure } from './tracer.js';

export interface Instruments {
  readonly clock: StepPartClock;
  readonly tracer: Tracer | undefined;
  readonly measure: Measure;
  /** Registers collectives whose waits are measured and, if there is `onFaultPoint`, whose starts are fault points. */
  readonly registrar: CollectiveRegistrar;
}

/** @param trace the configuration's `trace`; null: no tracer */
export function openInstruments(
  communicator: Communicator,
  trace: string | null,
  onFaultPoint: OnFaultPoint | undefined,
): Instruments {
  const tracer =
    trace === null ? undefined : new Tracer((spans) => communicator.send({ type: 'spans', spans }));
  const clock = new StepPartClock();
  const measure: Measure = tracer
    ? (kind, name, work) => clock.measure(kind, name, () => tracer.measure(kind, name, work))
    : clock.measure;
  const measured = measuringWaits(communicator, measure);
  const registrar = onFaultPoint ? reportingFaultPoints(measured, onFaultPoint) : measured;
  return { clock, tracer, measure, registrar };
}
