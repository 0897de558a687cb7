/** The comparison with PyTorch after one teacher-forced step; each bar is given with its reason. */

import { z } from 'zod';
import { decodeSafetensors, type Safetensors } from '../../src/shared/checkpoint/safetensors.js';
import type { LockstepSide, State, Step } from './lockstep-side.js';

export interface Line {
  readonly what: string;
  readonly measured: number;
  readonly bar: number;
  /** PyTorch's own float32, by its own kernels and as installed (oneDNN). */
  readonly theirs?: string;
}

const aboutSchema = z.object({
  torch: z.string(),
  seed: z.number(),
  n: z.number(),
  loss: z.number(),
  /** Norm of float32 PyTorch's gradient minus float64's, of each parameter: the larger of its two sets of kernels. */
  distances32: z.array(z.number()),
  /** The same without oneDNN. */
  distances32_own_kernels: z.array(z.number()),
});

export interface Teacher {
  readonly about: z.infer<typeof aboutSchema>;
  readonly state: State;
  readonly gradients: readonly Float64Array[];
  readonly statistics: readonly Float64Array[];
}

export function readTeacher(bytes: Buffer, file: string): Teacher {
  const { tensors, metadata }: Safetensors = decodeSafetensors(bytes, file);
  const about = aboutSchema.parse(JSON.parse(metadata['about'] ?? ''));
  const all = <T>(letter: string, type: new (...args: never[]) => T): T[] => {
    const found: T[] = [];
    for (let i = 0; tensors.has(`${letter}${i}`); i++) {
      const values = tensors.get(`${letter}${i}`)?.values;
      if (!(values instanceof type)) throw new Error(`${file}: ${letter}${i} has another dtype`);
      found.push(values);
    }
    return found;
  };
  return {
    about,
    state: { weights: all('w', Float32Array), first: all('m', Float32Array), second: all('v', Float32Array) },
    gradients: all('g', Float64Array),
    statistics: all('s', Float64Array),
  };
}

const norm = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  norm(Array.from(a, (value, i) => value - (b[i] ?? Number.NaN)));

/**
 * A bias before BatchNorm is subtracted again by it, so its exact gradient is 0 and a relative bound means nothing. What
 * comes is the rounding of a sum of terms that cancel: 1e-6 is 16 float32 roundings of terms of size 1.
 */
const zeroBound = 1e-6;
const zeroNorm = 1e-9;

/** @param cap the most that a gradient's bar may be, however far PyTorch's float32 is */
export function compare(side: LockstepSide, teacher: Teacher, cap: number): Line[] {
  const { about, state } = teacher;
  const step = side.from(state, about.n);
  const lines: Line[] = [
    // float32 has 6e-8 a rounding; the loss is a mean of 64 of them after a dozen layers.
    { what: 'loss', measured: Math.abs(step.loss - about.loss) / Math.abs(about.loss), bar: 1e-6 },
  ];
  for (const [i, exact] of teacher.gradients.entries()) {
    const ours = step.gradients[i] ?? new Float32Array(0);
    const name = step.names[i] ?? '';
    if (norm(exact) < zeroNorm) {
      lines.push({ what: `gradient ${name} (zero)`, measured: norm(ours), bar: zeroBound });
    } else {
      // Twice the distance that PyTorch's own float32 has from float64, but never more than the cap: where max-pool ties of the
      // flat background are broken by roundings, float32 differs by up to 1.8e-3 whoever computes it, and oneDNN by percents.
      const bar = Math.min(cap, (2 * (about.distances32[i] ?? 0)) / norm(exact));
      const theirs = [about.distances32_own_kernels, about.distances32]
        .map((distances) => ((distances[i] ?? Number.NaN) / norm(exact)).toExponential(1))
        .join(', ');
      lines.push({ what: `gradient ${name}`, measured: distance(ours, exact) / norm(exact), bar, theirs });
    }
  }
  lines.push(...compareStatistics(step, teacher), ...compareAdam(step, teacher));
  return lines;
}

function compareStatistics(step: Step, { statistics, gradients }: Teacher): Line[] {
  // Running statistics are sums over the batch: float32's rounding of the stored value, and of the activations before.
  return statistics.map((exact, i) => {
    const at = gradients.length + i;
    const ours = step.after.weights[at] ?? new Float32Array(0);
    return {
      what: `statistics ${step.names[at] ?? ''}`,
      measured: distance(ours, exact) / norm(exact),
      bar: 1e-5,
    };
  });
}

/** Adam from Lockstep's own gradient, recomputed in float64: its update must not add an error of its own. */
function compareAdam(step: Step, { about, state, gradients }: Teacher): Line[] {
  const [beta1, beta2, epsilon, rate] = [0.9, 0.999, 1e-8, 1e-3];
  const t = about.n + 1;
  let worst = 0;
  for (const i of gradients.keys()) {
    const [w, m, v] = [state.weights[i] ?? [], state.first[i] ?? [], state.second[i] ?? []];
    const [g, after] = [step.gradients[i] ?? [], step.after.weights[i] ?? []];
    for (let k = 0; k < w.length; k++) {
      const gk = g[k] ?? 0;
      const mk = beta1 * (m[k] ?? 0) + (1 - beta1) * gk;
      const vk = beta2 * (v[k] ?? 0) + (1 - beta2) * gk * gk;
      const expected =
        (w[k] ?? 0) -
        ((rate / (1 - beta1 ** t)) * mk) / (Math.sqrt(vk) / Math.sqrt(1 - beta2 ** t) + epsilon);
      worst = Math.max(worst, Math.abs(expected - (after[k] ?? Number.NaN)));
    }
  }
  return [{ what: "Adam's update, largest error", measured: worst, bar: 1e-6 }];
}
