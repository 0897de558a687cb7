/**
 * Injects the faults that are requested in a folder when this worker reaches their points (`--fault-requests DIR`, a hidden option of
 * the launcher). A worker that was started without the option has no injector, and each of its points costs one branch.
 */

import { setTimeout as pause } from 'node:timers/promises';
import {
  claimFaultRequest,
  isReleased,
  linkFaults,
  pendingFaultRequests,
  readFaultRecord,
  readStepDelay,
  writeFaultRecord,
  writeTensorCount,
  type FaultRequest,
  type LinkFaultKind,
} from '../../shared/faults/fault-request.js';
import { asRank, type Rank } from '../../shared/sharding/identifiers.js';
import type { OnFaultPoint } from './fault-points.js';

export interface LinkFault {
  readonly kind: LinkFaultKind;
  /** Duration of `delay` and `partition` in milliseconds. */
  readonly ms: number;
  /** The link's other end. */
  readonly link: Rank | 'coordinator';
}

/** A link fault for the thread that owns the link, with what is recorded once the fault hits a message. */
export interface RequestedLinkFault extends LinkFault {
  /** Folder of the request. */
  readonly folder: string;
  readonly id: string;
  readonly point: string;
  readonly step: number;
  readonly rank: number | null;
}

export type InjectLinkFault = (fault: RequestedLinkFault) => void;

/** The process that requested a hold has died if it has not released the worker by then. */
const longestHoldMs = 10_000;
const sampleTensorsMs = 1_000;
const neverSet = new Int32Array(new SharedArrayBuffer(4));

const isLinkFault = (kind: FaultRequest['kind']): kind is LinkFaultKind =>
  (linkFaults as readonly string[]).includes(kind);

export class FaultInjector {
  readonly #folder: string;
  readonly #injectLinkFault: InjectLinkFault | undefined;
  /** Number of times that this worker has reached the point of each request. */
  readonly #reached = new Map<string, number>();
  readonly #stepDelayMs: number;
  #sampledMs = performance.now();
  #membership: { readonly rank: number; readonly worldSize: number } | undefined;

  /** @param injectLinkFault undefined: this thread has no links, and requests for links stay pending */
  constructor(folder: string, injectLinkFault?: InjectLinkFault) {
    this.#folder = folder;
    this.#injectLinkFault = injectLinkFault;
    this.#stepDelayMs = readStepDelay(folder);
  }

  /** Sets the rank that requests are matched against; called in each generation. */
  joinedGeneration(membership: { readonly rank: number; readonly worldSize: number }): void {
    this.#membership = membership;
  }

  readonly faultPointHit: OnFaultPoint = (point, step) => {
    for (const request of pendingFaultRequests(this.#folder)) {
      if (request.point !== point || step < request.step) continue;
      if (request.rank !== null && request.rank !== this.#membership?.rank) continue;
      if (request.after !== null && !readFaultRecord(this.#folder, request.after)) continue;
      const reached = this.#reached.get(request.id) ?? 0;
      this.#reached.set(request.id, reached + 1);
      if (reached < request.skip) continue;
      if (isLinkFault(request.kind)) this.#faultOfLink(request, request.kind, step);
      else if (claimFaultRequest(this.#folder, request)) this.#faultOfProcess(request, step);
    }
  };

  /** Called after each step: records the number of tensors once a second, and waits for the requested delay. */
  async afterStep(tensors: () => number): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#sampledMs > sampleTensorsMs) {
      this.#sampledMs = nowMs;
      writeTensorCount(this.#folder, process.pid, tensors());
    }
    if (this.#stepDelayMs > 0) await pause(this.#stepDelayMs);
  }

  /** Leaves the request to other workers if this one has no such link. */
  #faultOfLink(request: FaultRequest, kind: LinkFaultKind, step: number): void {
    const link = this.#linkOf(request);
    if (!this.#injectLinkFault || link === undefined || !claimFaultRequest(this.#folder, request)) return;
    const { id, point, ms } = request;
    const rank = this.#membership?.rank ?? null;
    this.#injectLinkFault({ kind, ms, link, folder: this.#folder, id, point, step, rank });
  }

  #linkOf({ link }: FaultRequest): LinkFault['link'] | undefined {
    if (link === 'coordinator') return link;
    const { rank, worldSize } = this.#membership ?? { rank: 0, worldSize: 1 };
    return worldSize < 2 ? undefined : asRank((rank + 1 + (link % (worldSize - 1))) % worldSize);
  }

  #faultOfProcess({ id, kind, point }: FaultRequest, step: number): void {
    const folder = this.#folder;
    const rank = this.#membership?.rank ?? null;
    writeFaultRecord(folder, id, { atMs: Date.now(), pid: process.pid, point, step, rank });
    if (kind === 'kill') process.kill(process.pid, 'SIGKILL');
    if (kind === 'stop') process.kill(process.pid, 'SIGSTOP');
    if (kind !== 'hold') return;
    for (let waitedMs = 0; waitedMs < longestHoldMs && !isReleased(folder, id); waitedMs++)
      Atomics.wait(neverSet, 0, 0, 1);
  }
}
