/**
 * `--inject orders:DIR`: carries out the faults that somebody asks for, at the points of a worker's life that have a name. Without
 * it there is no such object, and each point costs a branch.
 */

import { setTimeout as pause } from 'node:timers/promises';
import {
  claimFaultRequest,
  injectedOrders,
  isReleased,
  pendingFaultRequests,
  readFaultRecord,
  readStepDelay,
  writeFaultRecord,
  writeTensorCount,
  type FaultRequest,
  type FaultPoint,
} from '../../shared/faults/fault-request.js';
import type { LinkFault } from './faulty-transport.js';
import { asRank } from '../../shared/sharding/identifiers.js';
import type { Communicator } from '../communicator/communicator.js';

/** Called where a worker passes a point. May not return. */
export type OnFaultPoint = (point: FaultPoint, step: number) => void;

/** A link's fault, for the thread that owns the link: what to do, and where to say that it hit a message. */
export interface Disturbance extends LinkFault {
  readonly folder: string;
  readonly id: string;
  readonly point: string;
  readonly step: number;
  readonly rank: number | null;
}

/** Whoever holds a worker has died if it takes longer. */
const longestHoldMs = 10_000;
const word = new Int32Array(new SharedArrayBuffer(4));

export class InjectedFaults {
  readonly #folder: string;
  readonly #disturb: ((disturbance: Disturbance) => void) | undefined;
  readonly #passed = new Map<string, number>();
  readonly #paceMs: number;
  #sampledMs = performance.now();
  #place: { readonly rank: number; readonly worldSize: number } | undefined;

  /** @param disturb undefined where there is no link at hand: such orders are left to others */
  constructor(folder: string, disturb?: (disturbance: Disturbance) => void) {
    this.#folder = folder;
    this.#disturb = disturb;
    this.#paceMs = readStepDelay(folder);
  }

  /** Undefined when the run's config asks for no orders. */
  static of(inject: string | null, disturb?: (disturbance: Disturbance) => void): InjectedFaults | undefined {
    const folder = injectedOrders.exec(inject ?? '')?.[1];
    return folder === undefined ? undefined : new InjectedFaults(folder, disturb);
  }

  /** In each generation again. */
  joinedGeneration(place: { readonly rank: number; readonly worldSize: number }): void {
    this.#place = place;
  }

  readonly faultPointHit: OnFaultPoint = (point, step) => {
    for (const order of pendingFaultRequests(this.#folder)) {
      if (order.point !== point || step < order.step) continue;
      if (order.rank !== null && order.rank !== this.#place?.rank) continue;
      if (order.after !== null && !readFaultRecord(this.#folder, order.after)) continue;
      const passed = this.#passed.get(order.id) ?? 0;
      this.#passed.set(order.id, passed + 1);
      if (passed < order.skip) continue;
      const link = this.#linkOf(order);
      if (link === undefined || !claimFaultRequest(this.#folder, order)) continue;
      this.#carryOut(order, link, step);
    }
  };

  /** After each step: says now and then how many tensors there are, and pauses, so that a small training lasts. */
  async afterStep(tensors: () => number): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#sampledMs > 1_000) {
      this.#sampledMs = nowMs;
      writeTensorCount(this.#folder, process.pid, tensors());
    }
    if (this.#paceMs > 0) await pause(this.#paceMs);
  }

  /** Undefined when this worker can't do it: it has no such link. */
  #linkOf({ kind, link }: FaultRequest): LinkFault['link'] | 'none' | undefined {
    if (kind === 'kill' || kind === 'stop' || kind === 'hold') return 'none';
    if (!this.#disturb) return undefined;
    if (link === 'coordinator') return link;
    const { rank, worldSize } = this.#place ?? { rank: 0, worldSize: 1 };
    return worldSize < 2 ? undefined : asRank((rank + 1 + (link % (worldSize - 1))) % worldSize);
  }

  #carryOut(order: FaultRequest, link: LinkFault['link'] | 'none', step: number): void {
    const { id, kind, point, ms } = order;
    const folder = this.#folder;
    const rank = this.#place?.rank ?? null;
    if (link !== 'none' && kind !== 'kill' && kind !== 'stop' && kind !== 'hold') {
      this.#disturb?.({ kind, ms, link, folder, id, point, step, rank });
      return;
    }
    writeFaultRecord(folder, id, { atMs: Date.now(), pid: process.pid, point, step, rank });
    if (kind === 'kill') process.kill(process.pid, 'SIGKILL');
    if (kind === 'stop') process.kill(process.pid, 'SIGSTOP');
    if (kind !== 'hold') return;
    for (let waitedMs = 0; waitedMs < longestHoldMs && !isReleased(folder, id); waitedMs++)
      Atomics.wait(word, 0, 0, 1);
  }
}

/** The same communicator, whose collectives of BatchNorm and of gradients are points. */
export function reportingFaultPoints(
  communicator: Pick<Communicator, 'allocate' | 'register' | 'tick'>,
  reach: OnFaultPoint,
): Pick<Communicator, 'allocate' | 'register' | 'tick'> {
  const pointOf = (name: string): FaultPoint | undefined => {
    if (name.startsWith('gradients/')) return 'reduce';
    if (name.endsWith('/forward')) return 'bn-forward';
    return name.endsWith('/backward') ? 'bn-backward' : undefined;
  };
  return {
    allocate: (elementCount) => communicator.allocate(elementCount),
    tick: () => communicator.tick(),
    register: (spec, within) => {
      const handle = communicator.register(spec, within);
      const point = pointOf(spec.name);
      if (!point) return handle;
      return {
        ...handle,
        start: (step) => {
          reach(point, step);
          handle.start(step);
        },
      };
    },
  };
}
