/** The named points of a worker's life at which a fault can be injected, and the collectives that are such points. */

import type { FaultPoint } from '../../shared/faults/fault-request.js';
import type { CollectiveRegistrar } from '../communicator/communicator.js';

/** Called when a worker reaches a point. It does not return if the fault ends the process. */
export type OnFaultPoint = (point: FaultPoint, step: number) => void;

function pointOf(collective: string): FaultPoint | undefined {
  if (collective.startsWith('gradients/')) return 'reduce';
  if (collective.endsWith('/forward')) return 'bn-forward';
  return collective.endsWith('/backward') ? 'bn-backward' : undefined;
}

/** Decorates a registrar: the start of each gradient and BatchNorm collective is a fault point. */
export function reportingFaultPoints(
  registrar: CollectiveRegistrar,
  onFaultPoint: OnFaultPoint,
): CollectiveRegistrar {
  return {
    allocate: (elementCount) => registrar.allocate(elementCount),
    tick: () => registrar.tick(),
    register: (spec, within) => {
      const handle = registrar.register(spec, within);
      const point = pointOf(spec.name);
      if (!point) return handle;
      return {
        ...handle,
        start: (step) => {
          onFaultPoint(point, step);
          handle.start(step);
        },
      };
    },
  };
}
