/**
 * The objects that a worker uses during one generation. Types only, so the modules that use a context do not import the modules that
 * build it. A function that uses a context takes one of the narrow interfaces below.
 */

import type { Sampler } from '../../shared/data/sampler.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import type { Communicator, CollectiveHandle } from '../communicator/communicator.js';
import type { BatchReader } from '../data/batch-reader.js';
import type { Executor } from '../executor/executor.js';
import type { GradientBuckets } from '../executor/gradient-buckets.js';
import type { BitFlip } from '../faults/bit-flip.js';
import type { OnFaultPoint } from '../faults/fault-points.js';
import type { Regularization } from '../optimizer/regularization.js';
import type { StepPartClock } from '../timing/step-part-clock.js';
import type { Measure, Tracer } from '../timing/tracer.js';
import type { Histograms } from './histograms.js';
import type { Ledger } from './ledger.js';
import type { Replica } from './replica.js';
import type { TrainingState } from './training-state.js';

export interface GenerationContext {
  readonly replica: Replica;
  readonly communicator: Communicator;
  readonly executor: Executor;
  /**
   * Everything that training changes. A step changes the weights, the optimizer's vectors and the statistics. An evaluation changes the
   * scheduler state. Every generation uses the same object.
   */
  readonly state: TrainingState;
  readonly buckets: GradientBuckets;
  /** Undefined if no layer has a regularizer. */
  readonly regularization: Regularization | undefined;
  readonly sampler: Sampler;
  readonly reader: BatchReader;
  /** Present with `--audit`. */
  readonly ledger: Ledger | undefined;
  /** Present with `--trace`. */
  readonly tracer: Tracer | undefined;
  readonly clock: StepPartClock;
  readonly measure: Measure;
  /** Undefined unless faults were requested. */
  readonly onFaultPoint: OnFaultPoint | undefined;
  /** Present on rank 0 with `--histogram-every`. */
  readonly histograms: Histograms | undefined;
  /** Global indices of this worker's shards. */
  readonly localShards: Range;
  /**
   * Float64: the sum of the sample losses of a batch, divided by the size of the batch, and with `trainMetrics` the sums of each metric.
   */
  readonly loss: CollectiveHandle;
  /** Float32 values of all weights that are not trainable, broadcast to a worker that joins. */
  readonly statistics: CollectiveHandle;
  /** Float64 values of the scheduler state (decisions from evaluations), broadcast to a worker that joins. */
  readonly schedulerState: CollectiveHandle;
  /** Float64 sums of an evaluation; see ../evaluation/evaluate.ts. */
  readonly evaluation: CollectiveHandle;
}

/** The part of a context that determines which samples a worker computes. */
export type ShardContext = Pick<GenerationContext, 'sampler' | 'localShards'>;

/** The part of a context that commits a step. */
export type CommitContext = Pick<
  GenerationContext,
  'replica' | 'executor' | 'state' | 'ledger' | 'measure' | 'onFaultPoint'
>;

/** The part of a context that computes a training step. */
export type TrainStepContext = CommitContext &
  ShardContext &
  Pick<GenerationContext, 'buckets' | 'reader' | 'regularization' | 'histograms' | 'loss'>;

/** The part of a context that evaluates the model. */
export type EvaluationContext = Pick<
  GenerationContext,
  'replica' | 'executor' | 'communicator' | 'localShards' | 'evaluation'
>;

/** The part of a context that broadcasts the training state. */
export type ShareContext = Pick<
  GenerationContext,
  'replica' | 'state' | 'buckets' | 'statistics' | 'schedulerState' | 'onFaultPoint'
>;

/** Faults to inject into a generation; none in production. */
export interface GenerationFaults {
  readonly onFaultPoint?: OnFaultPoint | undefined;
  readonly bitFlip?: BitFlip | undefined;
}
