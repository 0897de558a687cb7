/**
 * What the processes of a long run hold, sampled once a second: memory, descriptors, tensors, and files of sockets. Says what grew. A
 * process that has lived long is compared with itself after its warm-up; short lives are compared with others at the same age, so
 * that neither a leak of a generation nor one from process to process can hide.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readTensorCount } from '../shared/faults/fault-request.js';
import { descendants, holdings, type Holdings } from './processes.js';
import { median } from './recovery.js';
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
  /** `life`: of one process. `age`: of processes of equal age. */
  readonly over: 'life' | 'age' | 'run';
  readonly from: number;
  readonly to: number;
  readonly seconds: number;
  readonly grew: boolean;
}

const warmUpS = 60;
const shortestLifeS = 180;
/** The first workers got their state from nobody: not compared with those that came later. */
const firstBornS = 20;
/** Ages at which short lives are compared, seconds. */
const comparedAge = { from: 8, to: 14 } as const;
/** V8's heap and malloc's arenas breathe; more than both of these is growth. */
const allowed = { residentMb: 24, descriptors: 4, tensors: 0, socketFiles: 2 } as const;
/** Processes in each third. */
const fewest = 4;
const allowedPart = 0.05;

export class Resources {
  readonly samples: Sample[] = [];
  readonly #socketFiles: { atS: number; count: number }[] = [];
  readonly #born = new Map<number, number>();
  readonly #startMs = performance.now();

  sample(training: Training, sockets: string, orders: string): void {
    const atS = (performance.now() - this.#startMs) / 1000;
    const workers = new Set(training.members.values());
    for (const pid of [training.pid, ...descendants(training.pid)]) {
      const role: Role | undefined =
        pid === training.pid
          ? 'launcher'
          : pid === training.coordinator
            ? 'coordinator'
            : workers.has(pid)
              ? 'worker'
              : undefined;
      if (!this.#born.has(pid)) this.#born.set(pid, atS);
      const held = holdings(pid);
      // One that is still loading takes no part yet.
      if (!role || !held) continue;
      const ageS = atS - (this.#born.get(pid) ?? atS);
      this.samples.push({ ...held, atS, pid, role, ageS, tensors: readTensorCount(orders, pid) });
    }
    const folders = readdirSync(sockets);
    const count = folders.reduce((sum, name) => sum + filesIn(join(sockets, name)), 0);
    this.#socketFiles.push({ atS, count });
  }

  growth(): Growth[] {
    const found: Growth[] = [];
    const half = Math.floor(this.#socketFiles.length / 2);
    const counts = this.#socketFiles.map(({ count }) => count);
    found.push(
      compare(
        'worker',
        'socketFiles',
        'run',
        counts.slice(0, half),
        counts.slice(half),
        this.#socketFiles.at(-1)?.atS ?? 0,
      ),
    );
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
          if ((this.#born.get(pid) ?? 0) < firstBornS) return [];
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

function filesIn(folder: string): number {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0;
  }
}
