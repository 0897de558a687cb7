/** The types of a stage, and the values that stages share. */

import type { Training } from './training.js';

/** One line of the table: what was measured, and its value with the unit. */
export type Row = readonly [name: string, value: string];

export interface Adapter {
  readonly name: string;
  readonly isSoftware: boolean;
  /** Value of LOCKSTEP_WEBGPU_ADAPTERS for workers that share one of several adapters; undefined if there is one only. */
  readonly shared: string | undefined;
}

export interface GpuCheck {
  /** The adapter of the engine. @throws Error if there is none, or if a software adapter was not allowed */
  readonly adapter: () => Adapter;
  /** Folder for runs. */
  readonly work: string;
  /** Python that may have PyTorch. */
  readonly python: string;
  readonly sizes: Sizes;
  /** The training with which the others of the stages `bits` and `recover` must agree, once it has run. */
  undisturbed?: Training;
}

/** The amount of work, which is smaller on a driver that simulates the GPU. */
export interface Sizes {
  /** Description for the table. */
  readonly title: string;
  /** Content of LOCKSTEP_CHECK, without a purpose. */
  readonly network: 'convnet' | 'small';
  /** Images per step of all stages but `kernels`. */
  readonly batch: number;
  /** Steps of the runs that are compared. */
  readonly steps: number;
  /** Images per epoch; undefined: all of MNIST. */
  readonly images: number | undefined;
  /** Factor of the stages' time limits. */
  readonly patience: number;
}

export const gpuSizes: Sizes = {
  title: "the recipe's ConvNet, batch 64, 60 steps in the comparisons, all of MNIST",
  network: 'convnet',
  batch: 64,
  steps: 60,
  images: undefined,
  patience: 1,
};

export const softwareSizes: Sizes = {
  title:
    'smaller sizes for a driver that simulates the GPU: a small network, batch 12, 4 steps, 96 images of MNIST',
  network: 'small',
  batch: 12,
  steps: 4,
  images: 96,
  patience: 20,
};

export interface Stage {
  readonly name: string;
  readonly title: string;
  /** Time limit on a GPU. */
  readonly seconds: number;
  /** True if the stage needs the adapter. */
  readonly needsAdapter: boolean;
  /** Returns the rows of the table. @throws Error if the check fails or cannot be made */
  readonly run: (check: GpuCheck, signal: AbortSignal) => Promise<readonly Row[]>;
}

/** Thrown by a stage that cannot be run on this machine, which is no failure. */
export class Skipped extends Error {}

/** Thrown by a stage whose measurements show the failure. */
export class StageFailure extends Error {
  readonly rows: readonly Row[];

  constructor(message: string, rows: readonly Row[]) {
    super(message);
    this.rows = rows;
  }
}
