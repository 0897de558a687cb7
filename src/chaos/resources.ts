/**
 * Samples the resources of a long run's processes once a second (memory, descriptors, tensors, socket files) and reports what grew. A
 * long-lived process is compared with itself after its warm-up; short-lived ones are compared with others at the same age, which finds
 * leaks per generation and leaks from process to process.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readTensorCount } from '../shared/faults/fault-request.js';
import { median } from '../shared/arithmetic/quantile.js';
import { holdings, type Holdings } from './processes.js';
import type { Training } from './training-process.js';

export type Role = 'launcher' | 'coordinator' | 'worker';

export interface Sample extends Holdings {
  readonly atS: number;
  readonly pid: number;
  readonly role: Role;
  readonly ageS: number;
  readonly tensors: number | undefined;
}

export interface Growth {
  readonly role: Role;
  readonly what: 'residentMb' | 'descriptors' | 'tensors' | 'socketFiles';
  /** `life`: compares one process over time. `age`: compares processes of equal age. */
  readonly over: 'life' | 'age' | 'run';
  readonly from: number;
  readonly to: number;
  readonly seconds: number;
  readonly grew: boolean;
}

/** Memory of the processes of a role, as the medians of the first and the last quarter of the run. */
export interface QuarterMemory {
  readonly role: Role;
  readonly firstMb: number;
  readonly lastMb: number;
  readonly maximumMb: number;
}

const warmUpS = 60;
const shortestLifeS = 180;
/** The first workers of a command received no state from a peer; they are not compared with later ones. */
const firstBornS = 20;
/** Ages in seconds at which short-lived processes are compared. */
const comparedAge = { from: 8, to: 14 } as const;
/** V8's heap and malloc's arenas fluctuate; only a larger increase counts as growth. */
const allowed = { residentMb: 24, descriptors: 4, tensors: 0, socketFiles: 2 } as const;
/** Minimum number of processes in each third. */
const fewest = 4;
const allowedPart = 0.05;

export class Resources {
  readonly samples: Sample[] = [];
  readonly #socketFiles: { atS: number; count: number }[] = [];
  readonly #born = new Map<number, number>();
  readonly #startMs = performance.now();
  /** Processes that started earlier are not compared with later ones. */
  #firstBornUntilS = firstBornS;
  readonly #firstBorn = new Set<number>();

  sample(training: Training, sockets: string, requests: string): void {
    const atS = (performance.now() - this.#startMs) / 1000;
    const workers = new Set(training.members.values());
    for (const pid of training.processes()) {
      const role: Role | undefined =
        pid === training.pid
          ? 'launcher'
          : pid === training.coordinator
            ? 'coordinator'
            : workers.has(pid)
              ? 'worker'
              : undefined;
      if (!this.#born.has(pid)) {
        this.#born.set(pid, atS);
        if (atS < this.#firstBornUntilS) this.#firstBorn.add(pid);
      }
      const held = holdings(pid);
      // A process that is still loading has no role yet.
      if (!role || !held) continue;
      const ageS = atS - (this.#born.get(pid) ?? atS);
      this.samples.push({ ...held, atS, pid, role, ageS, tensors: readTensorCount(requests, pid) });
    }
    const folders = namesIn(sockets);
    const count = folders.reduce((sum, name) => sum + namesIn(join(sockets, name)).length, 0);
    this.#socketFiles.push({ atS, count });
  }

  /** All processes were started again. */
  restarted(): void {
    this.#firstBornUntilS = (performance.now() - this.#startMs) / 1000 + firstBornS;
  }

  /** A warm process is compared, so the first minute is left out of a run of several minutes. */
  quarters(): QuarterMemory[] {
    const endS = this.samples.at(-1)?.atS ?? 0;
    const fromS = Math.min(warmUpS, endS / 4);
    const part = (endS - fromS) / 4;
    return (['launcher', 'coordinator', 'worker'] as const).flatMap((role) => {
      const own = this.samples.filter((sample) => sample.role === role && sample.atS >= fromS);
      const residentMb = (fits: (sample: Sample) => boolean): number[] =>
        own.filter(fits).map((sample) => sample.residentMb);
      if (own.length === 0) return [];
      return [
        {
          role,
          firstMb: median(residentMb(({ atS }) => atS <= fromS + part)),
          lastMb: median(residentMb(({ atS }) => atS >= endS - part)),
          maximumMb: Math.max(...residentMb(() => true)),
        },
      ];
    });
  }

  growth(): Growth[] {
    const found: Growth[] = [];
    const ranS = this.#socketFiles.at(-1)?.atS ?? 0;
    // A run that is starting up has no sockets yet, and a short one has little else.
    if (ranS >= shortestLifeS) {
      const counts = this.#socketFiles.filter(({ atS }) => atS > warmUpS).map(({ count }) => count);
      const half = Math.floor(counts.length / 2);
      found.push(compare('worker', 'socketFiles', 'run', counts.slice(0, half), counts.slice(half), ranS));
    }
    const lives = new Map<number, Sample[]>();
    for (const sample of this.samples) lives.set(sample.pid, [...(lives.get(sample.pid) ?? []), sample]);
    for (const what of ['residentMb', 'descriptors', 'tensors'] as const) {
      for (const life of lives.values()) {
        const warm = life.filter(({ ageS }) => ageS > warmUpS);
        const [first, last] = [warm[0], warm.at(-1)];
        if (!first || !last || last.atS - first.atS < shortestLifeS - warmUpS) continue;
        const values = warm.flatMap((sample) => sample[what] ?? []);
        const part = Math.ceil(values.length / 4);
        if (values.length > 0)
          found.push(
            compare(
              first.role,
              what,
              'life',
              values.slice(0, part),
              values.slice(-part),
              last.atS - first.atS,
            ),
          );
      }
      for (const role of ['coordinator', 'worker'] as const) {
        const young = [...lives].flatMap(([pid, life]) => {
          if (this.#firstBorn.has(pid)) return [];
          const values = life
            .filter(({ ageS, role: of }) => of === role && ageS >= comparedAge.from && ageS <= comparedAge.to)
            .flatMap((sample) => sample[what] ?? []);
          return values.length === 0 ? [] : [median(values)];
        });
        const third = Math.floor(young.length / 3);
        if (third >= fewest)
          found.push(
            compare(
              role,
              what,
              'age',
              young.slice(0, third),
              young.slice(-third),
              this.samples.at(-1)?.atS ?? 0,
            ),
          );
      }
    }
    return found;
  }
}

function compare(
  role: Role,
  what: Growth['what'],
  over: Growth['over'],
  before: readonly number[],
  after: readonly number[],
  seconds: number,
): Growth {
  const [from, to] = [median(before), median(after)];
  const grew = to - from > Math.max(allowed[what], what === 'residentMb' ? from * allowedPart : 0);
  return { role, what, over, from, to, seconds, grew };
}

/** Empty if the folder has been removed meanwhile. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
